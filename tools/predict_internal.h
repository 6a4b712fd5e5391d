/* What predict.c and predict_service.c share. */
#ifndef PREDICT_INTERNAL_H
#define PREDICT_INTERNAL_H

#include "dry_tool.h"

struct house;
struct pg_predictor {
    struct pg_dry *d;
    const struct pg_snapshot *s;
    struct pg_predictions *ret;
    struct pg_dry_odds odds; /* large: one for all */
    struct house *house;     /* of predict_service.c; freed by predict.c */
};

/* predict.c: a prediction more, about that object; valid until the next one. */
struct pg_prediction *pg_predictor_add(struct pg_predictor *p, const char *object);
/* predict_service.c. inside: pods and nodes as callers, too. */
void pg_predict_port(struct pg_predictor *p, const struct pg_service *v,
                     const struct pg_service_port *port, bool inside);

#endif
