/* The links of a path: which one leads to an address, and who may speak on which.
 *
 * One link without prefixes is the usual case: everything is behind it, and routing is the kernel's behind the device. With several, say a TUN in each pod's and each
 * client's network namespace, no routing node is in between: podglass chooses the link by the longest prefix, and the same prefixes are the rule against
 * forged sources. There are few prefixes, so they are searched in a row. Called by path.c for each packet. */
#include "path_internal.h"

#include <errno.h>

static bool taken(const struct pg_path *path, const struct pg_prefix *prefix)
{
    for (uint32_t i = 0; i < path->link_count; i++) {
        for (uint32_t k = 0; k < path->links[i].prefix_count; k++) {
            const struct pg_prefix *other = &path->links[i].prefixes[k];
            if (other->bits == prefix->bits && pg_addr_equal(&other->addr, &prefix->addr)) {
                return true;
            }
        }
    }
    return false;
}

int pg_path_add_link(struct pg_path *path, struct pg_link *link, const struct pg_prefix *prefixes,
                     uint32_t count)
{
    struct pg_path_link *l = &path->links[path->link_count];
    int error = path->link_count == PG_PATH_LINKS || count > PG_LINK_PREFIXES ? -ENOSPC : 0;
    for (uint32_t i = 0; i < count && error == 0; i++) {
        error = taken(path, &prefixes[i]) ? -EEXIST : 0;
    }
    if (error != 0) {
        pg_link_close(link);
        return error;
    }
    l->link = link;
    l->prefix_count = count;
    for (uint32_t i = 0; i < count; i++) {
        l->prefixes[i] = prefixes[i];
    }
    path->link_count++;
    return 0;
}

bool pg_links_behind(const struct pg_path_link *l, const struct pg_addr *src)
{
    for (uint32_t i = 0; i < l->prefix_count; i++) {
        if (pg_prefix_contains(&l->prefixes[i], src)) {
            return true;
        }
    }
    return l->prefix_count == 0;
}

const struct pg_path_link *pg_links_towards(const struct pg_path *path, const struct pg_addr *dst)
{
    const struct pg_path_link *best = NULL;
    int best_bits = -1;
    for (uint32_t i = 0; i < path->link_count; i++) {
        const struct pg_path_link *l = &path->links[i];
        if (l->prefix_count == 0 && best_bits < 0) {
            best = l;
        }
        for (uint32_t k = 0; k < l->prefix_count; k++) {
            if (l->prefixes[k].bits > best_bits && pg_prefix_contains(&l->prefixes[k], dst)) {
                best = l;
                best_bits = l->prefixes[k].bits;
            }
        }
    }
    return best;
}

uint32_t pg_path_link_count(const struct pg_path *path)
{
    return path->link_count;
}

struct pg_link *pg_path_link(struct pg_path *path, uint32_t index)
{
    return index < path->link_count ? path->links[index].link : NULL;
}

uint32_t pg_path_lost_link(const struct pg_path *path)
{
    return path->lost_link;
}

uint32_t pg_path_close_link(struct pg_path *path, uint32_t index)
{
    uint32_t left = 0;
    pg_link_close(path->links[index].link);
    path->links[index].link = NULL;
    for (uint32_t i = 0; i < path->link_count; i++) {
        left += path->links[i].link != NULL ? 1 : 0;
    }
    return left;
}

void pg_links_close(struct pg_path *path)
{
    for (uint32_t i = 0; i < path->link_count; i++) {
        if (path->links[i].link != NULL) {
            pg_link_close(path->links[i].link);
        }
    }
    path->link_count = 0;
}
