/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking for the other device, at first and once more: a transfer that was cut off by a sleep of this machine, or whose links are all
 * gone, goes on by itself, so that nobody has to start it again. When it does is decided by cli/again.h.
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

static void look_again(struct sync *sync)
{
    sync->phase = SH_PHASE_DISCOVER;
    enum sh_cause cause = sh_sync_look_for(sync, sync->again_id);
    if (cause != SH_OK)
        sh_sync_quit(sync, sync->lost.until == SH_NEVER ? cause : sync->lost.cause);
    sh_edge_wake(&sync->edge);
}

/* The other device waits only so long for one that sleeps, and may be back in a moment where it was lost. It knows us, so no person
 * is needed. */
bool sh_sync_begin_again(struct sync *sync, enum sh_cause cause)
{
    bool brought = sh_session_verified(sync->old) > 0;
    enum sh_again_step step = sh_again_over(&sync->lost, cause, brought, sync->quitting, sh_now());
    if (step == SH_AGAIN_NO)
        return false;
    if (step != SH_AGAIN_SEARCH_ON) {
        if (step == SH_AGAIN_BY_LOSS)
            sh_sync_tell_held(sync);
        sh_output_note(sync->config->out, step == SH_AGAIN_BY_SLEEP
                                              ? "The connection did not outlive the sleep. Looking "
                                                "for the other device again."
                                              : "The links are gone. Looking for the other device "
                                                "again.");
        sync->again = true;
        memcpy(sync->again_id, sh_session_held(sync->old)->anchor_id, sizeof(sync->again_id));
    }
    look_again(sync);
    return true;
}

bool sh_sync_search_on(struct sync *sync)
{
    if (sync->quitting || !sh_again_may_search(&sync->lost, sh_now()))
        return false;
    look_again(sync);
    return true;
}

sh_ms sh_sync_again_tick(struct sync *sync, sh_ms now)
{
    if (now >= sync->lost.until)
        sh_sync_quit(sync, sync->lost.cause);
    return sync->lost.until;
}
