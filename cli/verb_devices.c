/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop devices`: what the registry knows of linked devices, and `revoke`. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/output_form.h"
#include "cli/safe.h"
#include "cli/verb.h"
#include "pairing/registry.h"
#include "proto/simhop.pb-c.h"

#define ID_DIGITS     (2 * SH_DEVICE_ID_SIZE)
#define ID_MIN_DIGITS 4 /* of what a person may give of an id */

struct values {
    struct sh_common common;
};

struct list {
    struct sh_device *devices;
    size_t count;
};

static void list_clear(struct list *list)
{
    free(list->devices);
}

static void id_text(const struct sh_device *device, char out[ID_DIGITS + 1])
{
    sh_hex(device->id, sizeof(device->id), out);
}

static const char *relation_name(const struct sh_device *device)
{
    return device->relation == SH_DEVICE_IS_ANCHOR ? "anchor" : "secondary";
}

static const char *kind_name(int kind)
{
    switch (kind) {
    case SIMHOP__DEVICE_KIND__DEVICE_KIND_PHONE:
        return "phone";
    case SIMHOP__DEVICE_KIND__DEVICE_KIND_TABLET:
        return "tablet";
    case SIMHOP__DEVICE_KIND__DEVICE_KIND_LAPTOP:
        return "laptop";
    case SIMHOP__DEVICE_KIND__DEVICE_KIND_WATCH:
        return "watch";
    case SIMHOP__DEVICE_KIND__DEVICE_KIND_IOT:
        return "iot";
    default:
        return "unknown";
    }
}

struct when {
    char text[32];
};

static struct when when(int64_t seconds)
{
    struct when w = {"never"};
    time_t time = (time_t)seconds;
    struct tm tm;
    if (seconds > 0 && localtime_r(&time, &tm))
        strftime(w.text, sizeof(w.text), "%Y-%m-%d %H:%M", &tm);
    return w;
}

/* A clock that went back makes nothing younger than today. */
static int64_t days_since(int64_t then)
{
    int64_t now = (int64_t)time(NULL);
    return now > then ? (now - then) / 86400 : 0;
}

/* ---- One device ---- */

/* known: NULL if the level at one metre was never calibrated. */
static void level_json(cJSON *event, const struct sh_known_level *known)
{
    if (!known) {
        cJSON_AddNullToObject(event, "calibration");
        return;
    }
    cJSON *object = cJSON_AddObjectToObject(event, "calibration");
    sh_json_double(object, "dbm", known->dbm, 1);
    sh_json_double(object, "spread", known->spread_db, 2);
    sh_json_uint(object, "samples", known->samples);
    sh_json_uint(object, "positions", known->positions);
    sh_json_text(object, "adapter", known->adapter);
    sh_json_int(object, "time", known->time);
}

static void device_json(struct sh_output *out, const struct sh_device *device,
                        const struct sh_known_level *known)
{
    char id[ID_DIGITS + 1], serial[2 * SH_SERIAL_SIZE + 1];
    cJSON *event = sh_json_event(out, "device");
    id_text(device, id);
    sh_hex(device->serial, sizeof(device->serial), serial);
    sh_json_text(event, "id", id);
    sh_json_text(event, "name", device->name);
    sh_json_text(event, "relation", relation_name(device));
    sh_json_text(event, "kind", kind_name(device->kind));
    sh_json_text(event, "state", sh_device_state_name(device->state));
    sh_json_text(event, "eid", device->eid[0] ? device->eid : NULL);
    sh_json_int(event, "linked_at", device->linked_at);
    sh_json_int(event, "last_seen", device->last_seen);
    sh_json_text(event, "token_serial", serial);
    sh_json_int(event, "token_not_after", device->not_after);
    sh_json_uint(event, "epoch", device->epoch);
    sh_json_uint(event, "last_revision", device->last_revision);
    sh_json_double(event, "metres", device->metres, 2);
    sh_json_uint(event, "proximity_samples", device->proximity_samples);
    bool measured = !isnan(device->score_db);
    sh_json_double(event, "score", device->score_db, 2);
    sh_json_double(event, "spread", device->spread_db, 2);
    sh_json_double(event, "rate", device->rate_hz, 1);
    sh_json_text(event, "level", measured ? sh_level_kind_name(device->level) : NULL);
    sh_json_text(event, "policy", measured ? sh_policy_name(device->policy) : NULL);
    level_json(event, known);
    sh_json_emit(out, event);
}

static void device_line(struct sh_output *out, const struct sh_device *device)
{
    char id[ID_DIGITS + 1], name[sizeof(device->name)];
    id_text(device, id);
    (void)sh_safe_copy(name, sizeof(name), device->name, UINT32_MAX);
    sh_output_note(out, "%.8s  %-9s  %-7s  %-10s  last seen %s  %s", id, relation_name(device),
                   kind_name(device->kind), sh_device_state_name(device->state),
                   when(device->last_seen).text, name);
}

static void proximity_text(struct sh_output *out, const struct sh_device *device)
{
    if (!device->proximity_samples)
        return;
    sh_output_note(out, "When linked:    %.1f m away, by %u samples", device->metres,
                   device->proximity_samples);
    if (!isnan(device->score_db))
        sh_output_note(out,
                       "                %+.1f dB to one metre (level %s), spread %.1f dB, "
                       "%.0f a second, rule %s",
                       device->score_db, sh_level_kind_name(device->level), device->spread_db,
                       device->rate_hz, sh_policy_name(device->policy));
}

static void level_text(struct sh_output *out, const struct sh_device *device,
                       const struct sh_known_level *known)
{
    if (known)
        sh_output_note(out,
                       "At one metre:   %.1f dBm, spread %.1f dB, by %u samples in %u positions, "
                       "%s (%" PRId64 " days ago) by %s",
                       known->dbm, known->spread_db, known->samples, known->positions,
                       when(known->time).text, days_since(known->time), known->adapter);
    else
        sh_output_note(out, "At one metre:   not calibrated, see `simhop %s`",
                       device->relation == SH_DEVICE_IS_ANCHOR ? "calibrate" : "share --calibrate");
}

static void device_text(struct sh_output *out, const struct sh_device *device, uint64_t receipts,
                        const struct sh_known_level *known)
{
    char id[ID_DIGITS + 1], serial[2 * SH_SERIAL_SIZE + 1];
    id_text(device, id);
    sh_hex(device->serial, sizeof(device->serial), serial);
    sh_output_note(out, "Name:           %s", device->name);
    sh_output_note(out, "Id:             %s", id);
    sh_output_note(out, "Is to us:       %s", relation_name(device));
    sh_output_note(out, "Kind:           %s", kind_name(device->kind));
    sh_output_note(out, "State:          %s", sh_device_state_name(device->state));
    if (device->eid[0])
        sh_output_note(out, "EID:            %s", device->eid);
    sh_output_note(out, "Linked:         %s", when(device->linked_at).text);
    sh_output_note(out, "Last seen:      %s", when(device->last_seen).text);
    sh_output_note(out, "Token serial:   %s", serial);
    sh_output_note(out, "Token ends:     %s", when(device->not_after).text);
    sh_output_note(out, "Last revision:  %" PRIu64, device->last_revision);
    sh_output_note(out, "Receipts:       %" PRIu64, receipts);
    proximity_text(out, device);
    level_text(out, device, known);
}

/* ---- Which device is meant ---- */

static bool is_id(const char *word)
{
    size_t n = strlen(word);
    return n >= ID_MIN_DIGITS && n <= ID_DIGITS && strspn(word, "0123456789abcdef") == n;
}

static bool is_meant(const struct sh_device *device, const char *word)
{
    char id[ID_DIGITS + 1];
    id_text(device, id);
    return strcmp(device->name, word) == 0 || (is_id(word) && strncmp(id, word, strlen(word)) == 0);
}

/* Keeps in the list only what is meant: one device, which may be both anchor and secondary to us. */
static enum sh_cause choose(struct list *list, const char *word)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (is_meant(&list->devices[i], word))
            list->devices[kept++] = list->devices[i];
    }
    list->count = kept;
    if (kept == 0)
        return sh_fail(SH_LINKED_UNKNOWN, "%s: no linked device has this name or id", word);
    for (size_t i = 1; i < kept; i++) {
        if (memcmp(list->devices[i].id, list->devices[0].id, SH_DEVICE_ID_SIZE) != 0)
            return sh_fail(SH_USAGE_BAD_OPTION,
                           "%s: more than one device is meant; give the id that `simhop devices` "
                           "shows",
                           word);
    }
    return SH_OK;
}

/* ---- Actions ---- */

/* A level that cannot be read is one that is not known. */
static const struct sh_known_level *find_level(struct sh_registry *registry,
                                               const struct sh_device *device,
                                               struct sh_known_level *level)
{
    return sh_registry_get_level(registry, device->id, NULL, level) == SH_OK ? level : NULL;
}

static enum sh_cause list_all(struct sh_registry *registry, struct list *list,
                              struct sh_output *out)
{
    struct sh_known_level level;
    for (size_t i = 0; i < list->count; i++) {
        if (sh_output_is_json(out))
            device_json(out, &list->devices[i], find_level(registry, &list->devices[i], &level));
        else
            device_line(out, &list->devices[i]);
    }
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "devices");
        sh_json_uint(event, "count", list->count);
        sh_json_emit(out, event);
    } else if (list->count == 0) {
        sh_output_note(out, "No device is linked.");
    }
    return SH_OK;
}

static enum sh_cause show(struct sh_registry *registry, struct list *list, struct sh_output *out)
{
    for (size_t i = 0; i < list->count; i++) {
        uint64_t receipts = 0;
        struct sh_known_level level;
        const struct sh_known_level *known = find_level(registry, &list->devices[i], &level);
        SH_TRY(sh_registry_count_receipts(registry, list->devices[i].id, &receipts));
        if (sh_output_is_json(out))
            device_json(out, &list->devices[i], known);
        else
            device_text(out, &list->devices[i], receipts, known);
    }
    return SH_OK;
}

static enum sh_cause revoke(struct sh_registry *registry, struct list *list, struct sh_output *out)
{
    for (size_t i = 0; i < list->count; i++) {
        struct sh_device *device = &list->devices[i];
        struct sh_known_level level;
        SH_TRY(sh_registry_set_state(registry, device->id, device->relation, SH_DEVICE_REVOKED));
        device->state = SH_DEVICE_REVOKED;
        if (sh_output_is_json(out))
            device_json(out, device, find_level(registry, device, &level));
        else
            sh_output_note(out, "Revoked: %s (%s)", device->name, relation_name(device));
    }
    sh_output_note(out, "This ends syncing only: to stop the service of a line on that device, ask "
                        "the carrier to suspend it.");
    return SH_OK;
}

static const struct {
    const char *name;
    bool takes_device;
    enum sh_cause (*run)(struct sh_registry *registry, struct list *list, struct sh_output *out);
} actions[] = {
    {"list", false, list_all},
    {"show", true, show},
    {"revoke", true, revoke},
};

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    const struct values *v = values;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    SH_CLEANUP(list_clear) struct list list = {0};
    const char *word = argc > 0 ? argv[0] : "list";
    size_t a = 0;
    while (a < SH_COUNT(actions) && strcmp(actions[a].name, word) != 0)
        a++;
    if (a == SH_COUNT(actions))
        return sh_fail(SH_USAGE_BAD_OPTION, "devices %s: list, show or revoke is wanted", word);
    if (argc > 2 || (argc == 2) != actions[a].takes_device)
        return sh_fail(SH_USAGE_BAD_OPTION, "devices %s: %s", word,
                       actions[a].takes_device ? "one name or id is wanted"
                                               : "takes no more words");
    SH_TRY(sh_registry_open(v->common.state, &registry));
    SH_TRY(sh_registry_list_devices(registry, time(NULL), &list.devices, &list.count));
    if (actions[a].takes_device)
        SH_TRY(choose(&list, argv[1]));
    return actions[a].run(registry, &list, out);
}

static const struct sh_option options[] = {{0}};

const struct sh_verb sh_verb_devices = {
    .name = "devices",
    .usage = "[list | show NAME|ID | revoke NAME|ID] [options]",
    .summary = "Lists the linked devices, shows or revokes one",
    .text =
        "list    One line for each device, last seen first. This is what happens without a word.\n"
        "show    All that is known of one device.\n"
        "revoke  From now on the device gets nothing more from this one, until it is linked\n"
        "        again with a code. The carrier's service on it is not touched.\n"
        "\n"
        "A device is named by its name or by the first digits (at least 4) of its id.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
