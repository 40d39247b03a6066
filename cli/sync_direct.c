/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way past the search: a linked anchor that answers on this network goes on at once. Whatever it comes to, the search is not
 * disturbed; who is found near meanwhile waits for the outcome of the first round, at most 1.5 s, and as long for one
 * that has answered.
 */
#include "cli/sync_internal.h"
#include "proto/log.h"
#include "system/clock.h"

static sh_ms on_now(void *user SH_UNUSED)
{
    return sh_now();
}

static enum sh_cause on_dial(const struct sh_attempt *attempt, void *user)
{
    struct sh_link *lan = ((struct sync *)user)->edge.lan;
    return lan->driver->dial(lan, attempt);
}

static void on_cancel(unsigned attempt, void *user)
{
    struct sh_link *lan = ((struct sync *)user)->edge.lan;
    lan->driver->cancel(lan, attempt);
}

static enum sh_cause on_up(const struct sh_device *anchor, struct sh_lane *lane, void *user)
{
    struct sync *sync = user;
    if (sync->session || sync->quitting)
        return SH_REFUSED_BUSY;
    sync->picked = (struct sh_nearby_pick){.linked = anchor};
    sync->phase_before = sync->phase;
    sync->phase = SH_PHASE_CONNECT;
    sync->trial_deadline = sh_now() + SH_DIRECT_MS;
    sh_events_phase(&sync->events, SH_PHASE_CONNECT, anchor->name);
    enum sh_cause cause = sh_sync_session_on(sync, lane);
    if (cause != SH_OK) {
        sync->trial_deadline = SH_NEVER;
        sync->phase = sync->phase_before;
    }
    return cause;
}

static void on_failed(const struct sh_device *anchor SH_UNUSED, enum sh_cause cause, void *user)
{
    struct sync *sync = user;
    sh_events_link(&sync->events, SIMHOP__LINK_KIND__LINK_KIND_LAN, "failed", cause);
}

static void on_over(void *user)
{
    struct sync *sync = user;
    bool waits = sync->pick_waits;
    sync->pick_waits = false;
    if (sync->radio != SH_OK)
        sh_sync_quit(sync, sync->radio);
    if (!waits || sync->quitting)
        return;
    sync->picked = sync->waiting;
    sh_sync_connect(sync);
}

static const struct sh_direct_ops direct_ops = {.now = on_now,
                                                .dial = on_dial,
                                                .cancel = on_cancel,
                                                .up = on_up,
                                                .failed = on_failed,
                                                .over = on_over};

enum sh_cause sh_sync_direct_begin(struct sync *sync, const char *only)
{
    const struct sh_sync_config *from = sync->config;
    struct sh_direct_config config = {.identity = from->identity,
                                      .registry = from->registry,
                                      .linked = sync->linked.devices,
                                      .linked_count = sync->linked.count,
                                      .only = only,
                                      .wall = sync->edge.wall};
    if ((from->pair && !sync->again) || from->policy == SH_POLICY_STRICT || !sync->edge.lan)
        return SH_OK;
    SH_TRY(sh_direct_new(&config, &direct_ops, sync, &sync->direct));
    sh_direct_begin(sync->direct, sh_now());
    return SH_OK;
}

bool sh_sync_on_trial(const struct sync *sync)
{
    return sync->trial_deadline != SH_NEVER;
}

bool sh_sync_direct_may_win(const struct sync *sync)
{
    return sh_sync_on_trial(sync) || (sync->direct && sh_direct_is_trying(sync->direct));
}

void sh_sync_direct_taken(struct sync *sync)
{
    sync->trial_deadline = SH_NEVER;
    sync->pick_waits = false;
    if (sync->radio == SH_OK && sync->edge.ble->driver->scan(sync->edge.ble, false) != SH_OK)
        sh_log("sync: scanning could not be stopped");
    sh_output_note(sync->config->out,
                   "%s answers on this network: nearness is not asked for. Another device is "
                   "linked with --pair.",
                   sync->picked.linked->name);
}

void sh_sync_direct_refused(struct sync *sync, enum sh_cause cause)
{
    sync->trial_deadline = SH_NEVER;
    sync->phase = sync->phase_before;
    sh_events_phase(&sync->events, sync->phase, NULL);
    sh_direct_refused(sync->direct, cause, sh_now());
    if (!sh_direct_is_trying(sync->direct))
        on_over(sync);
}

sh_ms sh_sync_direct_tick(struct sync *sync, sh_ms now)
{
    if (sync->session && now >= sync->trial_deadline)
        sh_session_stop(sync->session, SH_CONNECT_TIMEOUT);
    if (sync->session)
        return sync->trial_deadline;
    return sync->direct ? sh_direct_tick(sync->direct, now) : SH_NEVER;
}
