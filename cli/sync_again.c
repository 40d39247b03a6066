/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking for the other device, at first and once more: a transfer that was cut off by a sleep of this machine, or whose links are all
 * gone, goes on by itself, so that nobody has to start it again. After lost links only if the session brought something, and only for a
 * while: what cannot go on ends with the cause that it had.
 */
#include "cli/amount.h"
#include "cli/sync_internal.h"
#include "system/clock.h"

/* What is kept of a transfer that did not come to its end, and what can be done with it. */
void sh_sync_tell_held(const struct sync *sync)
{
    const struct sh_session_held *held = sync->old ? sh_session_held(sync->old) : NULL;
    if (!held || held->items == 0)
        return;
    sh_output_note(sync->config->out,
                   "%s of %s of %zu file%s verified and kept. `simhop sync`, or `simhop resume`, "
                   "goes on from there; `simhop resume --drop` gives it up.",
                   sh_amount(held->verified, held->total, false).text,
                   sh_amount(held->total, held->total, true).text, held->items,
                   held->items == 1 ? " is" : "s are");
}

/* All that depends on which anchors are linked; id: only this one, NULL for what --anchor says. */
enum sh_cause sh_sync_look_for(struct sync *sync, const uint8_t *id)
{
    const struct sh_sync_config *config = sync->config;
    const char *name = config->anchor;
    sh_direct_free(sync->direct);
    sh_nearby_free(sync->nearby);
    sync->direct = NULL;
    sync->nearby = NULL;
    sync->picked = (struct sh_nearby_pick){0};
    sh_linked_clear(&sync->linked);
    SH_TRY(sh_linked_load(config->registry, sync->edge.wall, &sync->linked));
    if (id) {
        sh_linked_only(&sync->linked, id);
        if (sync->linked.count == 0)
            return sh_fail(SH_LINKED_UNKNOWN, "not any more");
        name = sync->linked.devices[0].name;
    }
    SH_TRY(sh_nearby_new(sync->linked.devices, sync->linked.count, name, &sh_sync_nearby_ops, sync,
                         sh_now(), &sync->nearby));
    if (config->policy == SH_POLICY_OFF)
        sh_nearby_take_far(sync->nearby);
    sh_sync_trace_search(sync);
    SH_TRY(sync->edge.ble->driver->scan(sync->edge.ble, true));
    return sh_sync_direct_begin(sync, name);
}

static bool is_lost(enum sh_cause cause)
{
    return cause == SH_CONNECT_LOST || cause == SH_TRANSFER_STALLED || cause == SH_LINK_NONE ||
           cause == SH_RECEIPT_TIMEOUT;
}

static void look_again(struct sync *sync)
{
    sync->phase = SH_PHASE_DISCOVER;
    enum sh_cause cause = sh_sync_look_for(sync, sync->again_id);
    if (cause != SH_OK)
        sh_sync_quit(sync, sync->again_until == SH_NEVER ? cause : sync->again_cause);
    sh_edge_wake(&sync->edge);
}

/* The other device waits only so long for one that sleeps, and may be back in a moment where it was lost. It knows us, so no person
 * is needed. */
bool sh_sync_begin_again(struct sync *sync, enum sh_cause cause)
{
    bool by_sleep = sync->woke != 0 && sh_now() < sync->woke + SH_SYNC_SLEPT_MS &&
                    sh_cause_info(cause)->category == SH_CAT_NO_LINK;
    bool by_loss = is_lost(cause) && sh_session_verified(sync->old) > 0;
    sync->woke = 0;
    if (!by_sleep && !by_loss && is_lost(cause))
        return sh_sync_search_on(sync);
    if (sync->quitting || (!by_sleep && !by_loss))
        return false;
    if (!by_sleep)
        sh_sync_tell_held(sync);
    sh_output_note(sync->config->out, by_sleep
                                          ? "The connection did not outlive the sleep. Looking "
                                            "for the other device again."
                                          : "The links are gone. Looking for the other device "
                                            "again.");
    sync->again = true;
    sync->again_until = by_sleep ? SH_NEVER : sh_now() + SH_SYNC_AGAIN_MS;
    sync->again_cause = cause;
    memcpy(sync->again_id, sh_session_held(sync->old)->anchor_id, sizeof(sync->again_id));
    look_again(sync);
    return true;
}

bool sh_sync_search_on(struct sync *sync)
{
    if (sync->quitting || sync->again_until == SH_NEVER || sh_now() >= sync->again_until)
        return false;
    look_again(sync);
    return true;
}

sh_ms sh_sync_again_tick(struct sync *sync, sh_ms now)
{
    if (now >= sync->again_until)
        sh_sync_quit(sync, sync->again_cause);
    return sync->again_until;
}
