/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/away.h"

bool sh_away_look(struct sh_away *away, const struct sh_proximity_estimate *estimate, sh_ms now)
{
    if (estimate->verdict != SH_PROXIMITY_REJECT || estimate->metres < SH_AWAY_M) {
        away->since = SH_NEVER;
        return false;
    }
    if (away->since == SH_NEVER)
        away->since = now;
    return now >= away->since + SH_AWAY_MS;
}
