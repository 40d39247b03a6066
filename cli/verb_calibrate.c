/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop calibrate`: learns how strongly a linked anchor is heard one metre away, then has that one learn the same of us. */
#include <stdlib.h>
#include <string.h>

#include "cli/edge.h"
#include "cli/linked.h"
#include "cli/teach.h"
#include "cli/verb.h"
#include "pairing/calibration.h"
#include "proto/log.h"
#include "system/clock.h"

#define HEARD_MS 30000 /* until the anchor is heard */
#define TELL_MS  2000
#define LOOK_MS  100

struct values {
    struct sh_common common;
    const char *anchor;
};

static const struct sh_option options[] = {
    {"anchor", 0, SH_OPTION_TEXT, "NAME", "The linked device of this name (the first one heard).",
     offsetof(struct values, anchor)},
    {0},
};

struct calibrate {
    const struct values *values;
    struct sh_output *out;
    const struct sh_identity *identity;
    struct sh_registry *registry;
    struct sh_edge edge;
    struct sh_linked linked;
    const struct sh_device *anchor; /* who is calibrated; NULL: nobody was heard yet */
    char address[SH_BLE_ADDRESS];   /* where it was heard last, and what it said there */
    struct sh_advert advert;
    struct sh_calibration calibration;
    struct sh_teach *teach; /* the second half; NULL: still listening */
    sh_ms begun, told;
    bool over;
    enum sh_cause end;
};

static void quit(struct calibrate *calibrate, enum sh_cause cause)
{
    if (calibrate->over)
        return;
    calibrate->over = true;
    calibrate->end = sh_edge_explain(&calibrate->edge, cause);
    sh_edge_quit(&calibrate->edge, false);
}

static void tell(struct calibrate *calibrate, bool final)
{
    struct sh_calibrated found = sh_calibration_now(&calibrate->calibration);
    calibrate->told = sh_now();
    sh_output_calibration(calibrate->out, calibrate->anchor->name, &found, final);
}

/* ---- The radio ---- */

static bool is_wanted(const struct calibrate *calibrate, const struct sh_device *linked)
{
    const char *name = calibrate->values->anchor;
    if (!linked || (name && strcmp(linked->name, name) != 0))
        return false;
    return !calibrate->anchor || calibrate->anchor == linked;
}

static void on_heard(const struct sh_ble_heard *heard, void *user)
{
    struct calibrate *calibrate = user;
    struct sh_advert advert;
    if (calibrate->over || calibrate->teach || sh_advert_decode(heard->payload, &advert) != SH_OK)
        return;
    const struct sh_device *linked =
        sh_linked_resolve(calibrate->linked.devices, calibrate->linked.count, advert.id);
    if (!is_wanted(calibrate, linked))
        return;
    memcpy(calibrate->address, heard->address, sizeof(calibrate->address));
    calibrate->advert = advert;
    if (!calibrate->anchor) {
        calibrate->anchor = linked;
        calibrate->told = sh_now();
        sh_output_note(
            calibrate->out,
            "%s is heard. For ten seconds: stay one metre away from it, and turn and move "
            "this device slowly all the time.",
            linked->name);
    }
    if (heard->rssi_dbm != SH_RSSI_NONE) /* what is learned is the level of the usual power */
        sh_calibration_add(&calibrate->calibration, sh_now(), heard->rssi_dbm - advert.power_db);
}

static void on_stream(struct sh_stream *stream, bool incoming, void *user)
{
    struct calibrate *calibrate = user;
    if (incoming || !calibrate->teach)
        sh_stream_close(stream);
    else
        sh_teach_stream(calibrate->teach, stream);
}

static void on_connect_failed(enum sh_cause cause, void *user)
{
    struct calibrate *calibrate = user;
    if (calibrate->teach)
        sh_teach_connect_failed(calibrate->teach, cause);
}

static void on_rssi(struct sh_stream *stream, int dbm, void *user)
{
    struct calibrate *calibrate = user;
    if (calibrate->teach)
        sh_teach_rssi(calibrate->teach, stream, dbm);
}

static void on_failed(enum sh_cause cause, void *user)
{
    struct calibrate *calibrate = user;
    if (calibrate->teach)
        sh_teach_stop(calibrate->teach, cause);
    else
        quit(calibrate, cause);
}

static void on_note(const char *text, void *user)
{
    struct calibrate *calibrate = user;
    sh_output_note(calibrate->out, "%s", text);
}

static const struct sh_ble_ops ble_ops = {.heard = on_heard,
                                          .stream = on_stream,
                                          .connect_failed = on_connect_failed,
                                          .rssi = on_rssi,
                                          .failed = on_failed,
                                          .note = on_note};
static const struct sh_link_ops link_ops = {0};

/* ---- The first half's end, and the second half ---- */

static enum sh_cause keep(struct calibrate *calibrate)
{
    struct sh_calibrated found = sh_calibration_now(&calibrate->calibration);
    struct sh_known_level level = {.dbm = found.dbm,
                                   .spread_db = found.spread_db,
                                   .samples = found.samples,
                                   .positions = found.positions,
                                   .time = calibrate->edge.wall};
    if (!sh_edge_adapter(&calibrate->edge, level.adapter))
        return sh_fail(SH_ENV_RADIO_FAILED, "the adapter has no address");
    memcpy(level.id, calibrate->anchor->id, sizeof(level.id));
    return sh_registry_put_level(calibrate->registry, &level);
}

static void on_learned(const struct sh_calibrated *level, void *user)
{
    struct calibrate *calibrate = user;
    sh_output_peer_calibration(calibrate->out, calibrate->anchor->name, level, SH_OK);
}

/* What we have learned stays ours, whatever becomes of the other side. */
static void on_taught(enum sh_cause cause, void *user)
{
    struct calibrate *calibrate = user;
    const struct sh_cause_info *info = sh_cause_info(cause);
    if (cause != SH_OK) {
        sh_output_peer_calibration(calibrate->out, calibrate->anchor->name, NULL, cause);
        sh_output_note(calibrate->out,
                       "What this device has learned is kept, but %s has learned nothing: %s (%s) "
                       "Next: %s",
                       calibrate->anchor->name, info->message, info->name, info->next);
    }
    quit(calibrate, SH_OK);
}

static const struct sh_teach_ops teach_ops = {.learned = on_learned, .ended = on_taught};

/* Scanning and a connection fight for the radio's time. */
static enum sh_cause teach(struct calibrate *calibrate)
{
    struct sh_teach_config config = {.edge = &calibrate->edge,
                                     .identity = calibrate->identity,
                                     .registry = calibrate->registry,
                                     .name = calibrate->values->common.name,
                                     .anchor = calibrate->anchor,
                                     .found = sh_calibration_now(&calibrate->calibration)};
    if (calibrate->edge.ble->driver->scan(calibrate->edge.ble, false) != SH_OK)
        sh_log("calibrate: scanning could not be stopped");
    sh_output_note(calibrate->out, "Now %s learns: move on for a moment.", calibrate->anchor->name);
    return sh_teach_new(&config, calibrate->address, &calibrate->advert, &teach_ops, calibrate,
                        &calibrate->teach);
}

static enum sh_cause learned(struct calibrate *calibrate)
{
    SH_TRY(sh_calibration_check(&calibrate->calibration));
    SH_TRY(keep(calibrate));
    tell(calibrate, true);
    sh_output_note(calibrate->out, "Kept; from now on this counts when the two devices meet.");
    return teach(calibrate);
}

static void on_stop(enum sh_cause cause, void *user)
{
    struct calibrate *calibrate = user;
    if (calibrate->teach)
        sh_teach_stop(calibrate->teach, cause);
    quit(calibrate, cause);
}

static sh_ms on_tick(sh_ms now, void *user)
{
    struct calibrate *calibrate = user;
    if (calibrate->over)
        return SH_NEVER;
    if (calibrate->teach)
        return sh_teach_tick(calibrate->teach, now);
    if (!calibrate->anchor && now >= calibrate->begun + HEARD_MS)
        quit(calibrate, sh_fail(SH_NEAR_NO_ANCHOR, "no linked device shares here"));
    if (!calibrate->anchor)
        return now + LOOK_MS;
    if (sh_calibration_is_over(&calibrate->calibration, now)) {
        enum sh_cause cause = learned(calibrate);
        if (cause != SH_OK)
            quit(calibrate, cause);
    } else if (now >= calibrate->told + TELL_MS) {
        tell(calibrate, false);
    }
    return now + LOOK_MS;
}

static const struct sh_edge_ops edge_ops = {.stop = on_stop, .tick = on_tick, .note = on_note};

static enum sh_cause listen_and_learn(struct calibrate *calibrate, const struct sh_common *common)
{
    sh_output_unblock(calibrate->out);
    SH_TRY(sh_edge_open(&calibrate->edge, common, &edge_ops, &ble_ops, &link_ops, calibrate));
    SH_TRY(sh_linked_load(calibrate->registry, calibrate->edge.wall, &calibrate->linked));
    if (calibrate->linked.count == 0)
        return sh_fail(SH_LINKED_UNKNOWN, "no device is linked; run `simhop sync` first");
    SH_TRY(sh_linked_check(&calibrate->linked, calibrate->values->anchor));
    calibrate->begun = sh_now();
    SH_TRY(calibrate->edge.ble->driver->scan(calibrate->edge.ble, true));
    sh_output_note(calibrate->out, "Listening for a linked device that runs `simhop share`.");
    SH_TRY(sh_edge_run(&calibrate->edge, calibrate->out));
    return calibrate->end;
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    const struct values *v = values;
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = NULL;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: calibrate takes options only", argv[0]);
    SH_TRY(sh_registry_open(v->common.state, &registry));
    SH_TRY(sh_identity_load(v->common.state, &identity));
    sh_autofree struct sh_common *common = malloc(sizeof(*common));
    sh_autofree struct calibrate *calibrate = calloc(1, sizeof(*calibrate));
    if (!common || !calibrate)
        return SH_ENV_NO_MEMORY;
    *common = v->common;
    common->links = "ble";
    *calibrate =
        (struct calibrate){.values = v, .out = out, .identity = identity, .registry = registry};
    enum sh_cause cause = listen_and_learn(calibrate, common);
    sh_teach_free(calibrate->teach);
    sh_edge_close(&calibrate->edge);
    sh_linked_clear(&calibrate->linked);
    return cause;
}

const struct sh_verb sh_verb_calibrate = {
    .name = "calibrate",
    .usage = "[--anchor NAME] [options]",
    .summary = "Learn how strongly two linked devices are heard one metre away",
    .text =
        "The other device runs `simhop share --calibrate`; hold this one a metre from it and move\n"
        "it, for ten seconds. Both learn, and keep it for this pair of devices and this adapter:\n"
        "later syncs then need not be nearer than a metre to be sure. `simhop devices show` tells\n"
        "it. If the other device runs `share` without --calibrate, only this one learns.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
