/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "cli/sync_internal.h"
#include "system/clock.h"

void sh_sync_trace_search(const struct sync *sync)
{
    SH_TRACE(sync->config->tracer, sh_now(), 0, SEARCH, sync->config->policy == SH_POLICY_OFF);
}

void sh_sync_trace_counted(const struct sh_ble_heard *heard, const struct sh_advert *advert,
                           double known_dbm, bool linked, sh_ms now, void *user)
{
    const struct sync *sync = user;
    const struct sh_traced_advert traced = {
        .address = heard->address,
        .dbm = heard->rssi_dbm,
        .power_db = advert->power_db,
        .stated_dbm =
            advert->ref1m_dbm == SH_ADVERT_UNKNOWN_POWER ? (double)NAN : advert->ref1m_dbm,
        .known_dbm = known_dbm,
        .linked = linked};
    sh_tracer_heard(sync->config->tracer, now, &traced);
}

void sh_sync_trace_looks(sh_ms now, void *user)
{
    const struct sync *sync = user;
    SH_TRACE(sync->config->tracer, now, 0, LOOK, 0);
}
