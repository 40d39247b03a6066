/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/share.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/lan_port.h"
#include "cli/share_internal.h"
#include "pairing/heard.h"
#include "proto/log.h"
#include "system/clock.h"

#define PSM       0x80
#define SETTLE_MS 1000

/* ---- Advertising ---- */

static const int steps[] = {0, -8, -SH_ADVERT_LOWER_MAX};

/* Somebody who is connected, or on the way, is measured by the connection. */
static bool may_step(const struct share *share)
{
    const struct sh_ble *ble = share->edge.ble;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (!visitor->direct)
            return false;
    }
    return ble->driver->can_lower && ble->driver->can_lower(ble);
}

/* A fresh identifier, with the power of the step where that can be lowered. */
static enum sh_cause advertise(struct share *share, sh_ms now)
{
    struct sh_ble *ble = share->edge.ble;
    /* Who is strict is heard by those only who are near enough for the least. */
    bool strict = share->config->policy == SH_POLICY_STRICT;
    int power_db = may_step(share) ? steps[strict ? SH_COUNT(steps) - 1 : share->step] : 0;
    struct sh_advert advert = {
        .version = SH_ADVERT_VERSION, .psm = PSM, .ref1m_dbm = SH_ADVERT_UNKNOWN_POWER};
    uint8_t payload[SH_ADVERT_MAX];
    share->rotated = now;
    if (share->edge.ref1m_dbm > -128.0 && share->edge.ref1m_dbm < 20.0)
        advert.ref1m_dbm = (int8_t)share->edge.ref1m_dbm;
    SH_TRY(sh_rotating_id_new(share->config->identity->resolving_key, advert.id));
    memcpy(share->advertised_id, advert.id, sizeof(advert.id));
    sh_advert_step(&advert, power_db);
    size_t n = sh_advert_encode(&advert, payload);
    sh_sent_add(&share->sent, advert.id, power_db, now);
    sh_log("share: a new identifier, power %+d dB", power_db);
    return ble->driver->advertise(ble, SH_BYTES(payload, n), power_db);
}

/* When the identifier is to change: with each step while the power is stepped, else seldom. */
static sh_ms rotates_at(const struct share *share)
{
    return share->rotated + (may_step(share) ? share->edge.ble->driver->step_ms : SH_ROTATE_MS);
}

static void rotate(struct share *share, sh_ms now)
{
    const struct sh_ble *ble = share->edge.ble;
    if (ble->driver->can_lower && !ble->driver->can_lower(ble))
        sh_sent_as_usual(&share->sent); /* it turned out that it was not lowered */
    share->step = (share->step + 1) % SH_COUNT(steps);
    if (advertise(share, now) != SH_OK)
        sh_log("share: the identifier could not be changed");
}

/* ---- The end ---- */

static void quit(struct share *share, enum sh_cause cause)
{
    if (share->quitting)
        return;
    share->quitting = true;
    share->end = cause;
    share->edge.ble->driver->advertise_stop(share->edge.ble);
    sh_edge_quit(&share->edge, share->stopping || cause != SH_OK);
}

/* ---- What a session tells ---- */

static sh_ms on_now(void *user SH_UNUSED)
{
    return sh_now();
}

static void on_wake(void *user)
{
    struct visitor *visitor = user;
    visitor->due = 0;
    sh_edge_wake(&visitor->share->edge);
}

/* Once a run: why it is harder than it could be. */
static void tell_level(struct share *share, struct sh_level level)
{
    if (share->told_level || level.kind == SH_LEVEL_CALIBRATED || share->config->calibrate)
        return;
    share->told_level = true;
    sh_output_note(share->config->out,
                   "The signal at one metre is not calibrated on this side, so the devices must be "
                   "nearer than a metre. Once they are linked, `simhop share --calibrate` here and "
                   "`simhop calibrate` there help.");
}

static void on_phase(enum sh_phase phase, const char *peer, void *user)
{
    struct visitor *visitor = user;
    if (phase != SH_PHASE_CONNECT) /* anybody can connect; what counts is who greets */
        sh_events_phase(&visitor->events, phase, peer);
    if (phase == SH_PHASE_MEASURE && visitor->session)
        tell_level(visitor->share, sh_session_level(visitor->session));
}

static void on_proximity(const struct sh_proximity_estimate *estimate, bool final, void *user)
{
    struct visitor *visitor = user;
    sh_events_proximity(&visitor->events, estimate, final);
    if (final && visitor->share->config->policy == SH_POLICY_OFF)
        sh_events_not_demanded(&visitor->events, estimate);
}

static void on_sample(bool on, void *user)
{
    struct visitor *visitor = user;
    struct sh_ble *ble = visitor->share->edge.ble;
    if (visitor->stream)
        ble->driver->sample(ble, visitor->stream, on);
}

static void on_show_code(const struct sh_code *code, const char *peer, void *user)
{
    struct visitor *visitor = user;
    if (code)
        sh_output_code(visitor->events.out, code->digits, peer);
}

static size_t on_offers(Simhop__LinkOffer *offers, size_t max, void *user)
{
    const struct visitor *visitor = user;
    size_t count = 0;
    for (size_t kind = 0; kind < SH_SESSION_KINDS && count < max; kind++) {
        if (visitor->share->offers[kind])
            offers[count++] = *visitor->share->offers[kind];
    }
    return count;
}

static void on_view(int kind, struct sh_session_view *ret_view, void *user)
{
    const struct visitor *visitor = user;
    ret_view->listening = visitor->share->offers[kind] != NULL;
    ret_view->connections = visitor->share->accepted[kind];
}

static void on_want_group(struct sh_bytes seed, void *user)
{
    struct visitor *visitor = user;
    struct sh_link *wifi = visitor->share->edge.wifi;
    if (!wifi)
        return;
    visitor->wants_group = true;
    enum sh_cause cause = wifi->driver->listen(wifi, seed);
    if (cause != SH_OK)
        sh_events_link(&visitor->events, wifi->driver->kind, "failed", cause);
}

static void on_link(int kind, const char *state, enum sh_cause cause, void *user)
{
    struct visitor *visitor = user;
    if (kind == SIMHOP__LINK_KIND__LINK_KIND_BLE)
        cause = sh_edge_explain(&visitor->share->edge, cause);
    sh_events_link(&visitor->events, kind, state, cause);
}

static void on_progress(const struct sh_session_progress *progress, void *user)
{
    struct visitor *visitor = user;
    sh_events_progress(&visitor->events, progress, sh_now());
}

static void on_done(const struct sh_session_summary *summary, void *user)
{
    struct visitor *visitor = user;
    visitor->share->done++;
    sh_events_done(&visitor->events, summary, sh_now());
}

/* Whose end is worth a word. A peer that did not hear our greeting says so, connects again, and is no visitor yet. One that came
 * directly and had to wait for too long comes by radio: it is the same visitor. */
static bool took_part(const struct visitor *visitor, enum sh_cause cause)
{
    const struct sh_session *session = visitor->session;
    bool again = visitor->direct || !sh_session_heard_us(session);
    return sh_session_greeted(session) && !(again && cause == SH_CONNECT_TIMEOUT);
}

static void on_calibrated(const char *peer, const struct sh_calibrated *level, void *user)
{
    struct visitor *visitor = user;
    visitor->share->done++;
    sh_output_calibration(visitor->events.out, peer, level, true);
}

/* --once: the first one took part. */
static void end_once(struct share *share, enum sh_cause cause)
{
    if (!share->ending) {
        share->ending = true;
        share->end = cause;
        share->edge.ble->driver->advertise_stop(share->edge.ble);
        sh_share_stop_others(share);
    }
    if (!sh_share_any_running(share))
        quit(share, share->end);
}

static void on_ended(enum sh_cause cause, void *user)
{
    struct visitor *visitor = user;
    struct share *share = visitor->share;
    bool counts = took_part(visitor, cause);
    bool stopped = share->ending && cause == SH_SESSION_INTERRUPTED; /* by us */
    cause = sh_edge_explain(&share->edge, cause);
    visitor->over = true;
    visitor->stream = NULL;
    if (!counts)
        sh_log("share: a connection that came to nothing: %s", sh_cause_info(cause)->name);
    else if (cause != SH_OK && !share->stopping && !stopped)
        sh_output_cause(share->config->out, cause);
    /* One that failed leaves it to those that go on: it may be the same device that has come again. */
    bool last = cause == SH_OK || !sh_share_any_running(share);
    /* Nor is the one that is awaited who wanted only what we do not do. */
    bool other = cause == SH_CALIBRATE_NOT_WANTED || cause == SH_CALIBRATE_ONLY;
    bool first = counts && !other && last && share->config->once;
    if ((first || share->ending) && !share->stopping)
        end_once(share, cause);
    sh_edge_wake(&share->edge);
}

static const struct sh_session_ops session_ops = {
    .now = on_now,
    .wake = on_wake,
    .phase = on_phase,
    .proximity = on_proximity,
    .sample = on_sample,
    .show_code = on_show_code,
    .offers = on_offers,
    .view = on_view,
    .want_group = on_want_group,
    .dial = sh_share_on_dial,
    .cancel = sh_share_on_cancel,
    .link = on_link,
    .progress = on_progress,
    .calibrated = on_calibrated,
    .done = on_done,
    .ended = on_ended,
};

/* ---- Visitors ---- */

/* Seconds since 1970. Read anew for each visitor: a token ends while an anchor shares for days. */
static int64_t wall_now(void)
{
    return (int64_t)time(NULL);
}

static void fill_config(const struct visitor *visitor, size_t stepped,
                        struct sh_session_config *config)
{
    const struct share *share = visitor->share;
    const struct sh_share_config *from = share->config;
    *config = (struct sh_session_config){.role = SH_ANCHOR,
                                         .identity = from->identity,
                                         .registry = from->registry,
                                         .receipts = share->receipts,
                                         .boot_id = share->edge.boot_id,
                                         .name = from->common->name,
                                         .device_kind = from->device_kind,
                                         .eid = "",
                                         .wall = wall_now(),
                                         .tracer = from->tracer,
                                         .link_count = share->edge.link_count,
                                         .level = sh_level_best((double)NAN, share->edge.ref1m_dbm),
                                         .policy = from->policy,
                                         .items = from->items,
                                         .item_count = from->item_count,
                                         .draft = from->draft,
                                         .stepped = visitor->stepped,
                                         .stepped_count = stepped,
                                         .here = share->edge.air != NULL,
                                         .learns = from->calibrate,
                                         .shares_nothing = !from->draft && from->item_count == 0};
    if (!sh_edge_adapter(&share->edge, config->adapter))
        config->adapter[0] = '\0';
    memcpy(config->links, share->edge.links, sizeof(config->links));
    memcpy(config->advertised_id, share->advertised_id, sizeof(config->advertised_id));
}

static void on_stream(struct sh_stream *stream, bool incoming SH_UNUSED, void *user)
{
    struct share *share = user;
    struct sh_session_config config;
    bool full = sh_share_is_full(share, false);
    struct visitor *visitor = sh_share_new_visitor(share, false);
    if (!visitor) {
        sh_log("share: a connection too many");
        sh_stream_close(stream);
        return;
    }
    visitor->stream = stream;
    fill_config(visitor, sh_sent_stepped(&share->sent, visitor->since, visitor->stepped), &config);
    enum sh_cause cause = sh_session_new(&config, &session_ops, visitor, stream, &visitor->session);
    if (cause != SH_OK) {
        sh_output_cause(share->config->out, cause);
        sh_visitor_free(visitor);
        return;
    }
    sh_share_append(share, visitor);
    if (full) {
        sh_session_stop(visitor->session, SH_REFUSED_BUSY);
        return;
    }
    /* The next one that looks for us sees another identifier. */
    if (advertise(share, visitor->since) != SH_OK)
        sh_log("share: the identifier could not be changed");
}

static void on_rssi(struct sh_stream *stream, int dbm, void *user)
{
    struct share *share = user;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (visitor->stream == stream) {
            sh_session_rssi(visitor->session, dbm);
            return;
        }
    }
}

/* Sessions that have another link go on to their end. */
static void on_radio_failed(enum sh_cause cause, void *user)
{
    struct share *share = user;
    share->radio = cause;
    if (!sh_share_any_running(share))
        quit(share, cause);
    else
        sh_output_note(share->config->out, "%s", sh_cause_info(cause)->message);
}

static void on_note(const char *text, void *user)
{
    struct share *share = user;
    sh_output_note(share->config->out, "%s", text);
}

static const struct sh_ble_ops ble_ops = {
    .stream = on_stream, .rssi = on_rssi, .failed = on_radio_failed, .note = on_note};

/* ---- Connections over other links ---- */

static enum sh_cause on_find_psk(struct sh_bytes identity, struct sh_secret *ret_psk,
                                 const struct sh_session **ret_host, void *user)
{
    struct share *share = user;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (!visitor->over && sh_session_find_psk(visitor->session, identity, ret_psk) == SH_OK) {
            *ret_host = visitor->session;
            return SH_OK;
        }
    }
    return SH_TLS_SESSION_UNKNOWN;
}

/* If that session still runs. */
static enum sh_cause on_adopt(const struct sh_session *host, int kind, struct sh_lane *lane,
                              void *user)
{
    struct share *share = user;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (visitor->session == host && !visitor->over)
            return sh_session_adopt(visitor->session, kind, lane) ? SH_OK : SH_REFUSED_BUSY;
    }
    return SH_TLS_SESSION_UNKNOWN;
}

static enum sh_cause on_direct(int kind, struct sh_lane *lane, void *user)
{
    struct share *share = user;
    struct sh_session_config config;
    enum sh_cause refusal = sh_share_is_full(share, true) ? SH_REFUSED_BUSY : SH_OK;
    struct visitor *visitor = sh_share_new_visitor(share, true);
    if (!visitor)
        return SH_REFUSED_BUSY;
    fill_config(visitor, 0, &config);
    enum sh_cause cause = sh_session_new_direct(&config, &session_ops, visitor, kind, lane, refusal,
                                                &visitor->session);
    if (cause != SH_OK)
        sh_visitor_free(visitor);
    else
        sh_share_append(share, visitor);
    return cause;
}

static const struct sh_lobby_ops lobby_ops = {
    .find_psk = on_find_psk, .adopt = on_adopt, .direct = on_direct};

static void on_accepted(struct sh_link *link, struct sh_stream *stream, void *user)
{
    struct share *share = user;
    share->accepted[link->driver->kind]++;
    sh_lobby_enter(&share->lobby, link->driver->kind, stream, wall_now(), sh_now());
}

/* Every session that runs is told of a new offer, and of one that is no more: nobody is to look for what is gone. */
static void on_offered(struct sh_link *link, const Simhop__LinkOffer *offer, enum sh_cause cause,
                       void *user)
{
    struct share *share = user;
    bool news = offer || share->offers[link->driver->kind];
    share->offers[link->driver->kind] = offer;
    if (offer && link == share->edge.lan &&
        sh_lan_port_keep(share->config->common->state, (uint16_t)offer->port) != SH_OK)
        sh_log("share: the port could not be kept: %s", sh_detail());
    if (!offer && cause != SH_OK) /* ble carries it all the same */
        sh_output_link(share->config->out, link->driver->name, "failed", cause);
    for (const struct visitor *visitor = share->visitors; news && visitor;
         visitor = visitor->next) {
        if (!visitor->over)
            sh_session_reoffer(visitor->session);
    }
}

static const struct sh_link_ops link_ops = {.offered = on_offered,
                                            .accepted = on_accepted,
                                            .dialled = sh_share_on_dialled,
                                            .dial_failed = sh_share_on_dial_failed};

/* ---- Time and signals ---- */

static void on_stop(enum sh_cause cause, void *user)
{
    struct share *share = user;
    sh_receipts_commit(share->receipts); /* what came before is no loss of whoever is cut off */
    bool cut_off = sh_share_any_unserved(share);
    share->stopping = true;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (!visitor->over)
            sh_session_stop(visitor->session, cause);
    }
    quit(share, share->done > 0 && !cut_off ? SH_OK : cause);
}

/* The group ends with the last session that wanted it. */
static void tend_group(struct share *share)
{
    struct sh_link *wifi = share->edge.wifi;
    bool wanted = false;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next)
        wanted = wanted || visitor->wants_group;
    if (wifi && !wanted)
        wifi->driver->unlisten(wifi);
}

/* Receipts that came since the last one are kept together, and before anybody is served: whoever waits for one has all else. */
/* Others see in the registry who came. */
static void settle(struct share *share, sh_ms now)
{
    if (now < share->settled + SETTLE_MS)
        return;
    share->settled = now;
    if (sh_registry_settle(share->config->registry) != SH_OK)
        sh_log("share: who was seen last: %s", sh_detail());
}

static sh_ms on_tick(sh_ms now, void *user)
{
    struct share *share = user;
    if (sh_receipts_waits(share->receipts)) {
        sh_receipts_commit(share->receipts);
        now = sh_now(); /* what the disk took is nobody's turn */
    }
    sh_ms next = now + 1000, then = 0;
    sh_tracer_alive(share->config->tracer, now);
    settle(share, now);
    bool advertises = !share->quitting && !share->ending && share->radio == SH_OK;
    if (advertises && now >= rotates_at(share))
        rotate(share, now);
    if (advertises)
        next = SH_MIN(next, rotates_at(share));
    then = sh_share_tick_visitors(share, now);
    next = SH_MIN(next, then);
    sh_lobby_tick(&share->lobby, now);
    tend_group(share);
    if (share->radio != SH_OK && !sh_share_any_running(share))
        quit(share, share->radio);
    if (sh_receipts_waits(share->receipts)) /* those that waited for a hash */
        next = now;
    return next;
}

static bool is_moving(void *user)
{
    const struct share *share = user;
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (sh_session_is_moving(visitor->session))
            return true;
    }
    return false;
}

static void on_sleeps(void *user)
{
    const struct share *share = user;
    sh_events_sleeps(share->config->out);
}

static void on_slept(sh_ms slept, void *user)
{
    struct share *share = user;
    if (is_moving(share))
        sh_events_slept(share->config->out, slept);
    for (const struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (!visitor->over)
            sh_session_slept(visitor->session, slept);
    }
}

static const struct sh_edge_ops edge_ops = {.stop = on_stop,
                                            .tick = on_tick,
                                            .note = on_note,
                                            .moving = is_moving,
                                            .sleeps = on_sleeps,
                                            .slept = on_slept};

static enum sh_cause start(struct share *share)
{
    unsigned streams = sh_share_fit_descriptors(share);
    const struct sh_share_config *config = share->config;
    sh_output_unblock(config->out);
    SH_TRY(sh_edge_open(&share->edge, config->common, &edge_ops, &ble_ops, &link_ops, share));
    SH_TRY(sh_background_open(&share->background, &share->edge));
    for (size_t i = 0; i < config->item_count; i++)
        sh_item_set_worker(config->items[i], share->background.worker);
    struct sh_link *lan = share->edge.lan;
    if (lan) {
        sh_link_lan_prefer(lan, sh_lan_port_read(config->common->state));
        sh_link_lan_admit(lan, streams);
        enum sh_cause cause = lan->driver->listen(lan, SH_BYTES(NULL, 0));
        if (cause != SH_OK) /* ble carries it all the same */
            sh_output_link(config->out, "lan", "failed", cause);
    }
    SH_TRY(advertise(share, sh_now()));
    sh_output_phase(config->out, SH_PHASE_DISCOVER, "anchor", NULL);
    return sh_edge_run(&share->edge, config->out);
}

enum sh_cause sh_share_run(const struct sh_share_config *config)
{
    struct share *share = calloc(1, sizeof(*share));
    if (!share)
        return SH_ENV_NO_MEMORY;
    share->config = config;
    share->last = &share->visitors;
    share->lobby =
        (struct sh_lobby){.ops = &lobby_ops, .user = share, .identity = config->identity};
    sh_lobby_init(&share->lobby);
    enum sh_cause cause = sh_receipts_new(config->registry, &share->receipts);
    if (cause == SH_OK)
        cause = start(share);
    if (share->receipts) /* what came in the loop's last turn */
        sh_receipts_commit(share->receipts);
    if (cause == SH_OK)
        cause = share->end;
    for (struct visitor *visitor; (visitor = share->visitors) != NULL;) {
        sh_share_take_first(share);
        sh_visitor_free(visitor);
    }
    sh_receipts_free(share->receipts);
    sh_lobby_clear(&share->lobby);
    for (size_t i = 0; i < config->item_count; i++)
        sh_item_set_worker(config->items[i], NULL);
    sh_background_close(&share->background);
    sh_edge_close(&share->edge);
    free(share);
    return cause;
}
