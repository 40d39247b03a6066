/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop resume`: transfers that began and did not end: lists them, goes on with one, gives one up. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/amount.h"
#include "cli/output_form.h"
#include "cli/safe.h"
#include "cli/verb_sync.h"
#include "transfer/store_list.h"

#define ID_DIGITS     (2 * SH_ITEM_ID_SIZE)
#define ID_MIN_DIGITS 4 /* of what a person may give of an id */

struct values {
    struct sh_sync_values sync;
    bool drop;
};

/* A row of the registry, and what its folder really holds. */
struct begun {
    struct sh_transfer row;
    struct sh_store_look look;
    enum sh_cause unreadable; /* SH_OK: look says it */
    char anchor[65];          /* "": not linked any more */
};

struct list {
    struct begun *begun;
    size_t count;
};

static void list_clear(struct list *list)
{
    free(list->begun);
}

struct id {
    char text[ID_DIGITS + 1];
};

static struct id id_of(const struct sh_transfer *row)
{
    struct id id = {""};
    sh_hex(row->item_id, sizeof(row->item_id), id.text);
    return id;
}

/* ---- Reading ---- */

/* Killed after the file appeared and before the list was corrected. */
static bool is_complete(struct sh_registry *registry, const struct begun *begun)
{
    sh_autofree struct sh_received *received = malloc(sizeof(*received));
    const char *dir = begun->row.dir, *name = begun->row.name;
    size_t n = strlen(dir);
    return received && !begun->look.there && begun->unreadable == SH_OK &&
           sh_registry_get_received(registry, begun->row.item_id, received) == SH_OK &&
           strncmp(received->path, dir, n) == 0 && received->path[n] == '/' &&
           strcmp(received->path + n + 1, name) == 0 && access(received->path, F_OK) == 0;
}

static void look_at(struct sh_registry *registry, struct begun *begun)
{
    struct sh_device device;
    const struct sh_transfer *row = &begun->row;
    begun->unreadable = sh_store_look(row->dir, row->item_id, row->size, &begun->look);
    if (sh_registry_get_device(registry, row->anchor_id, SH_DEVICE_IS_ANCHOR, &device) != SH_OK ||
        !sh_strcopy(begun->anchor, sizeof(begun->anchor), device.name))
        begun->anchor[0] = '\0';
}

static enum sh_cause list_load(struct sh_registry *registry, struct list *list)
{
    sh_autofree struct sh_transfer *rows = NULL;
    size_t count = 0;
    SH_TRY(sh_registry_list_transfers(registry, &rows, &count));
    list->begun = calloc(count + 1, sizeof(*list->begun));
    if (!list->begun)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; rows && i < count; i++) {
        struct begun *begun = &list->begun[list->count];
        *begun = (struct begun){.row = rows[i]};
        look_at(registry, begun);
        list->count += !is_complete(registry, begun);
    }
    return SH_OK;
}

/* ---- Telling ---- */

static const char *state_of(const struct begun *begun)
{
    if (begun->unreadable != SH_OK)
        return "unreadable";
    return begun->look.there ? "kept" : "gone";
}

/* state: what is told of it. */
static void begun_json(struct sh_output *out, const struct begun *begun, const char *state)
{
    const struct sh_transfer *row = &begun->row;
    char anchor_id[2 * SH_DEVICE_ID_SIZE + 1];
    cJSON *event = sh_json_event(out, "transfer");
    sh_hex(row->anchor_id, sizeof(row->anchor_id), anchor_id);
    sh_json_text(event, "id", id_of(row).text);
    sh_json_text(event, "item", row->name);
    sh_json_text(event, "state", state);
    sh_json_uint(event, "size", row->size);
    if (begun->unreadable == SH_OK)
        sh_json_uint(event, "verified", begun->look.verified);
    else
        cJSON_AddNullToObject(event, "verified");
    sh_json_text(event, "anchor", begun->anchor[0] ? begun->anchor : NULL);
    sh_json_text(event, "anchor_id", anchor_id);
    sh_json_int(event, "begun", row->begun);
    sh_json_int(event, "touched", row->touched);
    sh_json_text(event, "dir", row->dir);
    sh_json_emit(out, event);
}

struct words {
    char text[128];
};

/* A clock that went back makes nothing older. */
static struct words ago(int64_t then)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}};
    struct words w = {"just now"};
    int64_t passed = (int64_t)time(NULL) - then;
    for (size_t i = 0; i < SH_COUNT(units); i++) {
        int64_t n = passed / units[i].seconds;
        if (n < 1)
            continue;
        snprintf(w.text, sizeof(w.text), "%" PRId64 " %s%s ago", n, units[i].name,
                 n == 1 ? "" : "s");
        break;
    }
    return w;
}

static struct words held(const struct begun *begun)
{
    struct words w = {"its pieces are gone"};
    uint64_t verified = begun->look.verified, size = begun->row.size;
    unsigned percent = size ? (unsigned)((double)verified * 100.0 / (double)size) : 0;
    if (begun->unreadable != SH_OK)
        snprintf(w.text, sizeof(w.text), "cannot be read (%s)",
                 sh_cause_info(begun->unreadable)->name);
    else if (begun->look.there)
        snprintf(w.text, sizeof(w.text), "%s of %s verified (%u %%)",
                 sh_amount(verified, size, false).text, sh_amount(size, size, true).text, percent);
    return w;
}

static void begun_line(struct sh_output *out, const struct begun *begun)
{
    const struct sh_transfer *row = &begun->row;
    sh_output_note(out, "%.8s  %s: %s  from %s  begun %s  into %s", id_of(row).text, row->name,
                   held(begun).text, begun->anchor[0] ? begun->anchor : "a device not linked now",
                   ago(row->begun).text, row->dir);
}

static enum sh_cause list_all(const struct list *list, struct sh_output *out)
{
    for (size_t i = 0; i < list->count; i++) {
        if (sh_output_is_json(out))
            begun_json(out, &list->begun[i], state_of(&list->begun[i]));
        else
            begun_line(out, &list->begun[i]);
    }
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "transfers");
        sh_json_uint(event, "count", list->count);
        sh_json_emit(out, event);
    } else if (list->count == 0) {
        sh_output_note(out, "No transfer was cut off.");
    } else {
        sh_output_note(out, "`simhop resume ID` goes on with one, `simhop resume --drop ID` gives "
                            "up what is kept of it.");
    }
    return SH_OK;
}

/* ---- Which one is meant ---- */

static bool is_id(const char *word)
{
    size_t n = strlen(word);
    return n >= ID_MIN_DIGITS && n <= ID_DIGITS && strspn(word, "0123456789abcdef") == n;
}

static bool is_meant(const struct begun *begun, const char *word, const char *dir)
{
    char full[PATH_MAX];
    if (dir && strcmp(begun->row.dir, realpath(dir, full) ? full : dir) != 0)
        return false;
    return strcmp(begun->row.name, word) == 0 ||
           (is_id(word) && strncmp(id_of(&begun->row).text, word, strlen(word)) == 0);
}

/* NULL: none, or more than one; the detail says which, and it is usage.bad-option. */
static const struct begun *choose(const struct list *list, const char *word, const char *dir)
{
    const struct begun *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (!is_meant(&list->begun[i], word, dir))
            continue;
        if (found) {
            sh_fail(SH_USAGE_BAD_OPTION,
                    "%s: more than one transfer is meant; give the id that `simhop resume` shows, "
                    "or its folder with --dir",
                    word);
            return NULL;
        }
        found = &list->begun[i];
    }
    if (!found)
        sh_fail(SH_USAGE_BAD_OPTION,
                "%s: no transfer of this name or id was cut off; `simhop resume` lists them", word);
    return found;
}

/* ---- Going on, giving up ---- */

/* The pieces first: were we killed in between, the row still tells of them. */
static enum sh_cause drop(struct sh_registry *registry, const struct begun *begun,
                          struct sh_output *out)
{
    const struct sh_transfer *row = &begun->row;
    SH_TRY(sh_store_drop(row->dir, row->item_id, row->size));
    SH_TRY(sh_registry_remove_transfer(registry, row->item_id, row->dir));
    if (sh_output_is_json(out))
        begun_json(out, begun, "dropped");
    else
        sh_output_note(out, "Dropped: %s, %s", row->name, held(begun).text);
    return SH_OK;
}

/* Without a code it goes on only from a device that is linked. */
static enum sh_cause find_anchor(struct sh_registry *registry, const struct begun *begun,
                                 struct sh_device *ret_device)
{
    const char *name = begun->row.name;
    enum sh_cause cause =
        sh_registry_get_device(registry, begun->row.anchor_id, SH_DEVICE_IS_ANCHOR, ret_device);
    if (cause == SH_LINKED_UNKNOWN)
        return sh_fail(cause, "the device that %s comes from is not known any more", name);
    SH_TRY(cause);
    if (ret_device->state != SH_DEVICE_AUTHORISED)
        return sh_fail(SH_LINKED_UNKNOWN, "%s comes from %s, which is %s", name, ret_device->name,
                       sh_device_state_name(ret_device->state));
    if (ret_device->not_after < (int64_t)time(NULL))
        return sh_fail(SH_LINKED_EXPIRED, "that of %s", ret_device->name);
    return SH_OK;
}

/* The sync was done. Was it this item that came? One that was changed has another id. */
static enum sh_cause check_gone_on(struct sh_registry *registry, const struct sh_transfer *row,
                                   struct sh_output *out)
{
    sh_autofree struct sh_transfer *still = malloc(sizeof(*still));
    sh_autofree char *path = NULL;
    if (!still || asprintf(&path, "%s/%s", row->dir, row->name) < 0) {
        path = NULL;
        return SH_ENV_NO_MEMORY;
    }
    enum sh_cause cause = sh_registry_get_transfer(registry, row->item_id, row->dir, still);
    if (cause == SH_LINKED_UNKNOWN)
        return SH_OK;
    SH_TRY(cause);
    if (access(path, F_OK) != 0)
        return sh_fail(SH_TRANSFER_NOT_OFFERED,
                       "%s; what is kept of it: `simhop resume --drop %.8s`", row->name,
                       id_of(row).text);
    sh_output_note(
        out,
        "The other device does not share this %s any more; there is another one here. What "
        "is kept of it: `simhop resume --drop %.8s`.",
        row->name, id_of(row).text);
    return SH_OK;
}

static enum sh_cause go_on(struct sh_registry *registry, const struct begun *begun,
                           struct values *v, struct sh_output *out)
{
    struct sh_device device;
    SH_TRY(find_anchor(registry, begun, &device));
    if (begun->unreadable == SH_OK && !begun->look.there)
        sh_output_note(out, "The pieces of %s are gone; it is fetched anew.", begun->row.name);
    v->sync.anchor = device.name;
    v->sync.anchor_id = begun->row.anchor_id;
    v->sync.dir = begun->row.dir;
    SH_TRY(sh_sync_verb_run(&v->sync, registry, out));
    return check_gone_on(registry, &begun->row, out);
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    struct values *v = values;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    SH_CLEANUP(list_clear) struct list list = {0};
    if (argc > 1 || (argc == 0 && v->drop))
        return sh_fail(SH_USAGE_BAD_OPTION, "resume: one name or id is wanted");
    SH_TRY(sh_registry_open(v->sync.common.state, &registry));
    SH_TRY(list_load(registry, &list));
    if (argc == 0)
        return list_all(&list, out);
    const struct begun *begun = choose(&list, argv[0], v->sync.dir);
    if (!begun)
        return SH_USAGE_BAD_OPTION;
    return v->drop ? drop(registry, begun, out) : go_on(registry, begun, v, out);
}

static const struct sh_option options[] = {
    {"drop", 0, SH_OPTION_FLAG, NULL,
     "Remove what is kept of it, and nothing else; how much that is, is said.",
     offsetof(struct values, drop)},
    {"dir", 0, SH_OPTION_TEXT, "DIR", "Of several of this name, the one into this folder.",
     offsetof(struct sh_sync_values, dir)},
    SH_SYNC_ROWS,
    {0},
};

const struct sh_verb sh_verb_resume = {
    .name = "resume",
    .usage = "[ID|NAME] [options]",
    .summary = "Lists transfers that were cut off, goes on with one or gives it up",
    .text =
        "Without a word: one line for each file that began to arrive, with how much of it is\n"
        "verified and kept. With an id (its first digits, at least 4) or a name it goes on, as\n"
        "`simhop sync` from that device into that folder would, without a code; what else is\n"
        "shared there arrives too. With --drop it gives up what is kept.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
