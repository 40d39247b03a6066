/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/sync_internal.h"
#include "proto/log.h"
#include "system/clock.h"

void sh_sync_quit(struct sync *sync, enum sh_cause cause)
{
    if (sync->quitting)
        return;
    sync->quitting = true;
    sync->end = sh_edge_explain(&sync->edge, sh_again_end(&sync->lost, cause));
    sh_edge_quit(&sync->edge, false);
}

/* ---- The code ---- */

static void on_typed(const struct sh_code *code, void *user)
{
    struct sync *sync = user;
    if (sync->session)
        sh_session_code(sync->session, code);
    sh_edge_wake(&sync->edge);
}

static void on_not_typed(enum sh_cause cause, void *user)
{
    struct sync *sync = user;
    /* After a wrong code the end of the input means that there is no better one. */
    if (cause == SH_CONFIRM_NO_CODE && sync->code_run > 1)
        cause = SH_CONFIRM_WRONG_CODE;
    if (sync->session)
        sh_session_stop(sync->session, cause);
}

static void on_strange(void *user)
{
    struct sync *sync = user;
    sh_output_note(sync->config->out, "The code has six digits. Type it again.");
}

static const struct sh_ask_ops ask_ops = {
    .code = on_typed, .strange = on_strange, .failed = on_not_typed};

/* ---- What the session tells ---- */

static sh_ms on_now(void *user SH_UNUSED)
{
    return sh_now();
}

static void on_wake(void *user)
{
    struct sync *sync = user;
    sh_edge_wake(&sync->edge);
}

static void on_phase(enum sh_phase phase, const char *peer, void *user)
{
    struct sync *sync = user;
    if (phase == SH_PHASE_LINK && sh_sync_on_trial(sync))
        sh_sync_direct_taken(sync);
    if (phase != SH_PHASE_CONNECT) /* said when we dialled */
        sh_events_phase(&sync->events, phase, peer);
}

static void on_proximity(const struct sh_proximity_estimate *estimate, bool final, void *user)
{
    struct sync *sync = user;
    sh_events_proximity(&sync->events, estimate, final);
    if (final && sync->config->policy == SH_POLICY_OFF)
        sh_events_not_demanded(&sync->events, estimate);
}

static void on_sample(bool on, void *user)
{
    struct sync *sync = user;
    if (sync->stream)
        sync->edge.ble->driver->sample(sync->edge.ble, sync->stream, on);
}

static void on_want_code(unsigned run, const char *peer, void *user)
{
    struct sync *sync = user;
    sync->code_run = run;
    if (run > 1)
        sh_output_note(sync->config->out,
                       "That was not the code. The other device shows a new one.");
    sh_output_code_wanted(sync->config->out, peer, run);
    sh_ask_start(sync->ask);
}

static void on_link(int kind, const char *state, enum sh_cause cause, void *user)
{
    struct sync *sync = user;
    if (kind == SIMHOP__LINK_KIND__LINK_KIND_BLE)
        cause = sh_edge_explain(&sync->edge, cause);
    sh_events_link(&sync->events, kind, state, cause);
}

static void on_progress(const struct sh_session_progress *progress, void *user)
{
    struct sync *sync = user;
    sh_events_progress(&sync->events, progress, sh_now());
}

static void on_changed(const char *item, enum sh_session_change change, void *user)
{
    static const char *const says[] = {
        [SH_CHANGE_REPLACES] = "it replaces the one that came before",
        [SH_CHANGE_GOES_ON] = "what was kept of it is used where it is still the same",
        [SH_CHANGE_ANEW] = "so little was kept of it that all of it is fetched",
    };
    struct sync *sync = user;
    sh_output_note(sync->config->out, "%s changed on the other device; %s.", item, says[change]);
}

static void on_disk_waits(void *user)
{
    struct sync *sync = user;
    sh_output_note_of(sync->config->out, SH_STORE_SLOW, "%s", SH_OUTPUT_DISK_WAITS);
}

static void on_anchor_reads(const char *item, uint64_t octets, uint64_t size, void *user)
{
    struct sync *sync = user;
    sh_output_note(sync->config->out,
                   "All is here. The other device reads %s once more, to confirm it: %u %% so far.",
                   item, (unsigned)(octets * 100 / SH_MAX(size, 1)));
}

static void on_done(const struct sh_session_summary *summary, void *user)
{
    struct sync *sync = user;
    sync->end = sync->config->arrived(summary, sync->config->user);
}

static void connect_picked(struct sync *sync, bool anew)
{
    struct sh_ble *ble = sync->edge.ble;
    sync->connects++;
    SH_TRACE(sync->config->tracer, sh_now(), 0, CONNECT, sync->connects);
    enum sh_cause cause =
        ble->driver->connect(ble, sync->picked.address, sync->picked.advert.psm, anew);
    if (cause != SH_OK)
        sh_sync_quit(sync, cause);
}

/* The phase `connect`, for the first time or once more; cause: what it ends with if nothing else comes. anew: over a new
 * connection, because the old one is of no use. */
static void connect_begin(struct sync *sync, enum sh_cause cause, bool anew)
{
    const struct sh_device *linked = sync->picked.linked;
    sync->phase = SH_PHASE_CONNECT;
    sync->connect_cause = cause;
    sync->connect_deadline = sh_now() + SH_SYNC_CONNECT_MS;
    sh_events_phase(&sync->events, SH_PHASE_CONNECT, linked ? linked->name : NULL);
    connect_picked(sync, anew);
}

/* The anchor did not answer our greeting, or the connection broke before it did: is there another try? Not if the radio is
 * what is wrong. */
static bool may_connect_again(struct sync *sync, enum sh_cause cause)
{
    bool mute = cause == SH_CONNECT_TIMEOUT || cause == SH_CONNECT_LOST;
    return mute && !sync->quitting && !sh_session_greeted(sync->old) &&
           sync->connects < SH_SYNC_CONNECTS && sh_edge_explain(&sync->edge, cause) == cause;
}

static void on_ended(enum sh_cause cause, void *user)
{
    struct sync *sync = user;
    sync->old = sync->session;
    sync->session = NULL;
    sync->stream = NULL;
    if (sync->edge.wifi)
        sync->edge.wifi->driver->rest(sync->edge.wifi);
    sh_ask_stop(sync->ask);
    if (sh_sync_on_trial(sync)) {
        sh_sync_direct_refused(sync, cause);
        sh_edge_wake(&sync->edge);
        return;
    }
    if (may_connect_again(sync, cause)) {
        sh_output_note(sync->config->out, "The other device does not answer. Connecting again.");
        connect_begin(sync, cause, true);
        sh_edge_wake(&sync->edge);
        return;
    }
    sync->connect_deadline = SH_NEVER;
    /* Somebody else than --anchor asked for: look on. */
    if (cause == SH_NEAR_NO_ANCHOR && !sync->quitting) {
        sh_nearby_again(sync->nearby, sync->picked.address, sh_now());
        sh_sync_trace_search(sync);
        if (sync->edge.ble->driver->scan(sync->edge.ble, true) != SH_OK)
            sh_sync_quit(sync, SH_ENV_RADIO_FAILED);
    } else if (!sh_sync_begin_again(sync, cause)) {
        sh_sync_tell_held(sync);
        sh_sync_quit(sync, cause == SH_OK ? sync->end : cause);
    }
    sh_edge_wake(&sync->edge);
}

static const struct sh_session_ops session_ops = {
    .now = on_now,
    .wake = on_wake,
    .phase = on_phase,
    .proximity = on_proximity,
    .sample = on_sample,
    .want_code = on_want_code,
    .dial = sh_sync_on_dial,
    .cancel = sh_sync_on_cancel,
    .listen = sh_sync_on_listen,
    .link = on_link,
    .progress = on_progress,
    .changed = on_changed,
    .disk_waits = on_disk_waits,
    .anchor_reads = on_anchor_reads,
    .done = on_done,
    .ended = on_ended,
};

/* ---- Discovery and connection ---- */

/* What was calibrated, else what the anchor states, else what is known of the air. */
static struct sh_level level_of(const struct sync *sync)
{
    int8_t stated = sync->picked.advert.ref1m_dbm;
    const struct sh_device *linked = sync->picked.linked;
    double known = (double)NAN;
    if (linked)
        known = sh_linked_level(sync->config->registry, &sync->edge, linked);
    return sh_level_best(known, stated == SH_ADVERT_UNKNOWN_POWER ? sync->edge.ref1m_dbm : stated);
}

/* Once a run: why it is harder than it could be. */
static void tell_level(struct sync *sync)
{
    const struct sh_device *linked = sync->picked.linked;
    if (sync->told_level || level_of(sync).kind == SH_LEVEL_CALIBRATED)
        return;
    sync->told_level = true;
    sh_output_note(
        sync->config->out,
        "The signal of this pair of devices at one metre is not calibrated, so they must be "
        "nearer than a metre. %s `simhop calibrate` helps.",
        linked ? "Running" : "Once they are linked,");
}

void sh_sync_connect(struct sync *sync)
{
    if (sync->direct)
        sh_direct_stop(sync->direct);
    sync->connects = 0;
    /* Scanning and a connection fight for the radio's time. */
    if (sync->edge.ble->driver->scan(sync->edge.ble, false) != SH_OK)
        sh_log("sync: scanning could not be stopped");
    tell_level(sync);
    connect_begin(sync, SH_CONNECT_TIMEOUT, false);
}

static void on_pick(const struct sh_nearby_pick *pick, void *user)
{
    struct sync *sync = user;
    sh_tracer_pick(sync->config->tracer, sh_now(), pick->address);
    if (sh_sync_direct_may_win(sync)) {
        sync->waiting = *pick;
        sync->pick_waits = true;
        return;
    }
    sync->picked = *pick;
    sh_sync_connect(sync);
}

static void on_nearby_phase(enum sh_phase phase, void *user)
{
    struct sync *sync = user;
    sync->phase = phase;
    sh_events_phase(&sync->events, phase, NULL);
}

static void on_nearby_proximity(const struct sh_proximity_estimate *estimate, void *user)
{
    struct sync *sync = user;
    sh_events_proximity(&sync->events, estimate, false);
}

static void on_hint(const char *text, void *user)
{
    struct sync *sync = user;
    sh_output_note(sync->config->out, "%s", text);
}

static double on_level(const struct sh_device *linked, void *user)
{
    const struct sync *sync = user;
    return sh_linked_level(sync->config->registry, &sync->edge, linked);
}

static void on_nearby_failed(enum sh_cause cause, void *user)
{
    SH_TRACE(((struct sync *)user)->config->tracer, sh_now(), 0, SEARCH_OVER, (int64_t)cause);
    sh_sync_quit(user, cause);
}

const struct sh_nearby_ops sh_sync_nearby_ops = {
    .phase = on_nearby_phase,
    .proximity = on_nearby_proximity,
    .hint = on_hint,
    .pick = on_pick,
    .failed = on_nearby_failed,
    .level = on_level,
    .counted = sh_sync_trace_counted,
    .looks = sh_sync_trace_looks,
};

static void on_heard(const struct sh_ble_heard *heard, void *user)
{
    struct sync *sync = user;
    if (sync->nearby)
        sh_nearby_heard(sync->nearby, heard, sh_now());
}

static void fill_config(const struct sync *sync, struct sh_session_config *config)
{
    const struct sh_sync_config *from = sync->config;
    *config = (struct sh_session_config){.role = SH_SECONDARY,
                                         .identity = from->identity,
                                         .registry = from->registry,
                                         .boot_id = sync->edge.boot_id,
                                         .name = from->common->name,
                                         .device_kind = from->device_kind,
                                         .eid = from->eid,
                                         .wall = sync->edge.wall,
                                         .tracer = from->tracer,
                                         .link_count = sync->edge.link_count,
                                         .level = level_of(sync),
                                         .policy = from->policy,
                                         .heard = sync->picked.heard.ids,
                                         .heard_count = sync->picked.heard.count,
                                         .peer_name = from->anchor,
                                         .dir = from->dir,
                                         .incoming_dir = sync->incoming_dir,
                                         .bundle_dir = sync->bundle_dir,
                                         .worker = sync->background.worker,
                                         .syncer = sync->background.syncer};
    if (!from->pair || sync->again)
        config->reconnect_to = sync->picked.linked;
    memcpy(config->links, sync->edge.links, sizeof(config->links));
    memcpy(config->advertised_id, sync->picked.advert.id, sizeof(config->advertised_id));
}

enum sh_cause sh_sync_session_on(struct sync *sync, struct sh_lane *lane)
{
    struct sh_session_config config;
    fill_config(sync, &config);
    return sh_session_new_direct(&config, &session_ops, sync, SIMHOP__LINK_KIND__LINK_KIND_LAN,
                                 lane, SH_OK, &sync->session);
}

static void on_stream(struct sh_stream *stream, bool incoming, void *user)
{
    struct sync *sync = user;
    struct sh_session_config config;
    if (incoming || sync->session || sync->quitting) {
        sh_stream_close(stream);
        return;
    }
    sync->stream = stream;
    fill_config(sync, &config);
    enum sh_cause cause = sh_session_new(&config, &session_ops, sync, stream, &sync->session);
    if (cause != SH_OK) {
        sync->stream = NULL;
        sh_sync_quit(sync, cause);
    }
}

static void on_connect_failed(enum sh_cause cause, void *user)
{
    struct sync *sync = user;
    if (sync->session || sync->quitting || sync->connect_deadline == SH_NEVER)
        return;
    SH_TRACE(sync->config->tracer, sh_now(), 0, UNCONNECTED, (int64_t)cause);
    sync->connect_cause = cause;
    if (sync->connects < SH_SYNC_CONNECTS)
        connect_picked(sync, false);
    else
        sync->connect_deadline =
            0; /* given up with the next tick: whoever calls may be the search itself */
    sh_edge_wake(&sync->edge);
}

static void on_rssi(struct sh_stream *stream, int dbm, void *user)
{
    struct sync *sync = user;
    if (sync->session && sync->stream == stream)
        sh_session_rssi(sync->session, dbm);
}

static void on_distance(struct sh_stream *stream, double metres, double sd_m, void *user)
{
    struct sync *sync = user;
    if (sync->session && sync->stream == stream)
        sh_session_distance(sync->session, metres, sd_m);
}

/* A transfer may go on over other links; its own deadlines tell when it does not. */
static void on_radio_failed(enum sh_cause cause, void *user)
{
    struct sync *sync = user;
    if (sync->session && sh_session_is_moving(sync->session))
        sh_output_note(sync->config->out, "%s", sh_cause_info(cause)->message);
    else if (sh_sync_direct_may_win(sync))
        sync->radio = cause;
    else
        sh_sync_quit(sync, cause);
}

static void on_note(const char *text, void *user)
{
    struct sync *sync = user;
    sh_output_note(sync->config->out, "%s", text);
}

static const struct sh_ble_ops ble_ops = {
    .heard = on_heard,
    .stream = on_stream,
    .connect_failed = on_connect_failed,
    .rssi = on_rssi,
    .distance = on_distance,
    .failed = on_radio_failed,
    .note = on_note,
};

/* ---- Time and signals ---- */

/* The time that the person gave is over: what were we waiting for? */
static enum sh_cause deadline_cause(const struct sync *sync)
{
    sh_detail_clear(); /* of a dial that failed meanwhile */
    if (sync->again)   /* it was found, and there are pieces of it */
        return SH_SESSION_DEADLINE;
    if (sync->phase == SH_PHASE_DISCOVER)
        return SH_NEAR_NO_ANCHOR;
    if (sync->phase == SH_PHASE_APPROACH)
        return SH_NEAR_TOO_FAR;
    return SH_SESSION_DEADLINE;
}

static void on_stop(enum sh_cause cause, void *user)
{
    struct sync *sync = user;
    bool deadline = cause == SH_SESSION_DEADLINE;
    if (sh_sync_on_trial(sync)) { /* nobody took us: it is the search that is over */
        sync->trial_deadline = SH_NEVER;
        sync->phase = sync->phase_before;
        sh_sync_quit(sync, deadline ? deadline_cause(sync) : cause);
    }
    if (sync->session)
        sh_session_stop(sync->session, cause);
    /* All is here and the session is saying goodbye; what the person does not want now is the installing. */
    if (sync->quitting && sync->end == SH_OK)
        sync->end = cause;
    sh_sync_quit(sync, deadline ? deadline_cause(sync) : cause);
}

/* No try came to anything. One that was found again may be found once more. */
static void give_up_connect(struct sync *sync)
{
    sync->connect_deadline = SH_NEVER;
    if (!sh_sync_search_on(sync))
        sh_sync_quit(sync, sync->connect_cause);
}

static sh_ms on_tick(sh_ms now, void *user)
{
    struct sync *sync = user;
    sh_tracer_alive(sync->config->tracer, now);
    sh_session_free(sync->old);
    sync->old = NULL;
    if (sync->quitting && !sync->session)
        return SH_NEVER;
    sh_ms next = sh_sync_direct_tick(sync, now), then = SH_NEVER;
    if (sync->session) {
        then = sh_session_tick(sync->session);
        return SH_MIN(next, then);
    }
    if (sync->quitting)
        return SH_NEVER;
    if (sync->connect_deadline != SH_NEVER) {
        if (now >= sync->connect_deadline)
            give_up_connect(sync);
        return sync->connect_deadline;
    }
    then = sh_sync_again_tick(sync, now);
    next = SH_MIN(next, then);
    if (sync->quitting)
        return SH_NEVER;
    then = sh_nearby_tick(sync->nearby, now);
    return SH_MIN(next, then);
}

static bool may_take_wifi(void *user)
{
    return ((const struct sync *)user)->config->take_wifi;
}

static bool is_moving(void *user)
{
    const struct sync *sync = user;
    return sync->session && sh_session_is_moving(sync->session);
}

static void on_sleeps(void *user)
{
    const struct sync *sync = user;
    sh_events_sleeps(sync->config->out);
}

static void on_slept(sh_ms slept, void *user)
{
    struct sync *sync = user;
    bool moving = is_moving(sync);
    sh_again_slept(&sync->lost, slept, moving, sh_now());
    if (!moving)
        return;
    sh_events_slept(sync->config->out, slept);
    sh_session_slept(sync->session, slept);
}

static const struct sh_edge_ops edge_ops = {.stop = on_stop,
                                            .tick = on_tick,
                                            .note = on_note,
                                            .may_take_wifi = may_take_wifi,
                                            .moving = is_moving,
                                            .sleeps = on_sleeps,
                                            .slept = on_slept};

/* FOLDER/NAME, malloc'ed; NULL when there is no memory. */
static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static enum sh_cause start(struct sync *sync)
{
    const struct sh_sync_config *config = sync->config;
    const char *state = config->common->state;
    sync->incoming_dir = join(state, "incoming");
    sync->bundle_dir = join(state, "bundles");
    if (!sync->incoming_dir || !sync->bundle_dir)
        return SH_ENV_NO_MEMORY;
    sh_output_unblock(config->out);
    SH_TRY(sh_edge_open(&sync->edge, config->common, &edge_ops, &ble_ops, &sh_sync_link_ops, sync));
    SH_TRY(sh_background_open(&sync->background, &sync->edge));
    SH_TRY(sh_ask_new(sync->edge.base, config->code_fd, &ask_ops, sync, &sync->ask));
    SH_TRY(sh_sync_look_for(sync, config->anchor_id));
    return sh_edge_run(&sync->edge, sync->config->out);
}

enum sh_cause sh_sync_run(const struct sh_sync_config *config)
{
    struct sync *sync = calloc(1, sizeof(*sync));
    if (!sync)
        return SH_ENV_NO_MEMORY;
    sync->config = config;
    sync->connect_deadline = sync->trial_deadline = SH_NEVER;
    sync->lost = (struct sh_again)SH_AGAIN_INIT;
    sync->events = (struct sh_events){.out = config->out,
                                      .tracer = config->tracer,
                                      .role = "secondary",
                                      .started = config->started};
    enum sh_cause cause = start(sync);
    if (cause == SH_OK)
        cause = sync->end;
    sh_session_free(sync->session);
    sh_session_free(sync->old);
    sh_direct_free(sync->direct);
    sh_nearby_free(sync->nearby);
    sh_ask_free(sync->ask);
    sh_background_close(&sync->background);
    sh_edge_close(&sync->edge);
    sh_linked_clear(&sync->linked);
    free(sync->incoming_dir);
    free(sync->bundle_dir);
    free(sync);
    return cause;
}
