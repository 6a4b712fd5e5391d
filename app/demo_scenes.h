/* folder: app */
/* The scenes of the demo as data; see demo_scenes.c. */
#ifndef PODGLASS_APP_DEMO_SCENES_H
#define PODGLASS_APP_DEMO_SCENES_H

#include <stdint.h>

#define PG_SCENE_FILES 3

struct pg_scene_file {
    const char *name;
    const char *text;
};

struct pg_scene {
    const char *title;
    const char *moral;   /* one sentence: what was to be seen */
    const char *client;  /* name in the lab */
    const char *preface; /* in front of the request; NULL: none */
    const char *named;   /* whose request the preface says it is; NULL: the client's */
    const char *request; /* as sent, to the ingress service's load-balancer address */
    struct pg_scene_file files[PG_SCENE_FILES];
    const char *
        later; /* files[1] as it is loaded again while the pod still works on the request; NULL: it is not */
    const char *changed; /* what that changes; then the client asks once more */
};

extern const struct pg_scene pg_scenes[];
extern const uint32_t pg_scene_count;

#endif
