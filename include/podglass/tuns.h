/* folder: app */
/* The TUN interfaces that `run --tun` names, opened, configured and handed to a path. */
#ifndef PODGLASS_TUNS_H
#define PODGLASS_TUNS_H

#include "podglass/link.h"
#include "podglass/path.h"
#include "podglass/snapshot.h"
#include "podglass/tools.h"

struct pg_opened_tun {
    struct pg_link *link;
    struct pg_prefix prefixes[PG_LINK_PREFIXES];
    uint32_t prefix_count;
};
struct pg_tuns {
    struct pg_opened_tun at[PG_PATH_LINKS];
    uint32_t count;
};

/* Opens what the --tun flags name, each in its network namespace, and configures it when --configure is given. 0, or PG_EXIT_* said on standard
 * error; then nothing is open. */
int pg_tuns_open(const struct pg_options *options, const struct pg_snapshot *s,
                 struct pg_tuns *ret);
/* What --io says. */
enum pg_tun_io pg_tuns_io(const struct pg_options *options);
void pg_tuns_close(struct pg_tuns *t);
uint16_t pg_tuns_mtu(const struct pg_tuns *t); /* the smallest */
/* Hands all links over. 0 or PG_EXIT_*, said. */
int pg_tuns_give(struct pg_tuns *t, struct pg_path *path);

#endif
