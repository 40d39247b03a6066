/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Was the other device carried away while a code is awaited? One metre is what the measurement decides; here a hand before the radio
 * must not end it, so farther and for longer.
 */
#ifndef SIMHOP_PAIRING_AWAY_H
#define SIMHOP_PAIRING_AWAY_H

#include "pairing/proximity.h"

#define SH_AWAY_M  3.0
#define SH_AWAY_MS 3000

struct sh_away {
    sh_ms since; /* SH_NEVER while it is not */
};

#define SH_AWAY_NOT ((struct sh_away){.since = SH_NEVER})

/* The estimate (of an sh_proximity for `approach`) at this time. true: it is away. */
bool sh_away_look(struct sh_away *away, const struct sh_proximity_estimate *estimate, sh_ms now);

#endif
