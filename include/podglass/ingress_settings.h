/* folder: cluster */
/* How the ingress behaves: Lab's spec.ingress, or what an operator's own configuration says. */
#ifndef PODGLASS_INGRESS_SETTINGS_H
#define PODGLASS_INGRESS_SETTINGS_H

#include "podglass/addr.h"
#include "podglass/source.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_ingress_settings {
    struct pg_prefix trusted_proxies[16]; /* whose X-Forwarded-* count */
    uint32_t trusted_proxy_count;
    struct pg_source trusted_source;
};

#endif
