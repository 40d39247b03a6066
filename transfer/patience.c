/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/patience.h"

#define GRACES 8 /* links that may come up without anything verified in between */

void sh_patience_begin(struct sh_patience *patience, sh_ms now)
{
    *patience = (struct sh_patience){.last = now, .moved = now, .no_link = now, .verified_at = now};
}

sh_ms sh_patience_clock(struct sh_patience *patience, sh_ms now)
{
    if (now > patience->last && now - patience->last > SH_ABSENT_MS)
        patience->skew += now - patience->last - SH_ABSENT_MS;
    patience->last = SH_MAX(patience->last, now);
    return patience->last - patience->skew;
}

void sh_patience_moved(struct sh_patience *patience, sh_ms clock)
{
    patience->moved = patience->verified_at = clock;
    patience->graces = 0;
}

void sh_patience_link_up(struct sh_patience *patience, sh_ms clock)
{
    /* A first link has its time, but one that comes and goes does not keep us for ever. */
    if (patience->no_link != SH_NEVER && patience->graces < GRACES) {
        patience->graces++;
        patience->moved = clock;
    }
    patience->no_link = SH_NEVER;
}

void sh_patience_no_link(struct sh_patience *patience, sh_ms clock)
{
    patience->no_link = clock;
}

enum sh_patience_end sh_patience_look(const struct sh_patience *patience, sh_ms more, sh_ms clock)
{
    if (patience->last < patience->expected &&
        clock - patience->verified_at < SH_EXPECTED_MS + more)
        return SH_PATIENCE_LASTS;
    if (patience->no_link != SH_NEVER && clock - patience->no_link >= SH_NO_LINK_MS)
        return SH_PATIENCE_NO_LINK;
    return clock - patience->moved < SH_IDLE_MS + more ? SH_PATIENCE_LASTS : SH_PATIENCE_IDLE;
}
