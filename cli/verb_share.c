/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop share`: on the device with the lines. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/consent.h"
#include "cli/files.h"
#include "cli/share.h"
#include "cli/trace_file.h"
#include "cli/verb.h"

#define AT_ONCE_MAX 100000

struct values {
    struct sh_common common;
    const char *bundle, *consent, *kind;
    struct sh_list items;
    int64_t code_fd, at_once;
    bool once, unlock, calibrate;
};

static const struct sh_option options[] = {
    {"bundle", 0, SH_OPTION_TEXT, "FILE", "Lines to share, made by `simhop bundle create`.",
     offsetof(struct values, bundle)},
    {"item", 0, SH_OPTION_LIST, "NAME=FILE", "A file to send along; may be given again.",
     offsetof(struct values, items)},
    {"consent", 0, SH_OPTION_TEXT, "WAY", "How a person confirms: code (the default).",
     offsetof(struct values, consent)},
    {"code-fd", 0, SH_OPTION_DESCRIPTOR, "N",
     "Read the answer to a question from this descriptor (0).", offsetof(struct values, code_fd)},
    {"once", 0, SH_OPTION_FLAG, NULL, "End after the first device, and those being served.",
     offsetof(struct values, once)},
    {"at-once", 0, SH_OPTION_NUMBER, "N", "Linked devices served at once over the network (1000).",
     offsetof(struct values, at_once)},
    {"calibrate", 0, SH_OPTION_FLAG, NULL,
     "Learn the level at one metre from a linked device that runs `simhop calibrate`.",
     offsetof(struct values, calibrate)},
    {"unlock", 0, SH_OPTION_FLAG, NULL, "Open pairing again after too many wrong codes.",
     offsetof(struct values, unlock)},
    {"kind", 0, SH_OPTION_TEXT, "KIND", "phone (the default), tablet, laptop, watch, iot.",
     offsetof(struct values, kind)},
    {0},
};

/* Everything that is shared; freed in one go. */
struct shared {
    struct sh_item *items[SH_ITEMS_MAX];
    size_t count;
    struct sh_bundle *draft;
};

static void shared_clear(struct shared *shared)
{
    for (size_t i = 0; i < shared->count; i++)
        sh_item_free(shared->items[i]);
    sh_bundle_free(shared->draft);
}

static enum sh_cause open_item(const char *argument, const struct sh_identity *identity,
                               struct shared *shared)
{
    const char *equals = strchr(argument, '=');
    if (!equals || equals == argument || !equals[1])
        return sh_fail(SH_USAGE_BAD_OPTION, "--item %s: NAME=FILE is wanted", argument);
    sh_autofree char *name = strndup(argument, (size_t)(equals - argument));
    if (!name)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; i < shared->count; i++) {
        if (strcmp(sh_item_name(shared->items[i]), name) == 0)
            return sh_fail(SH_USAGE_BAD_OPTION, "--item %s: there are two of this name", name);
    }
    if (shared->count == SH_ITEMS_MAX - 1)
        return sh_fail(SH_USAGE_BAD_OPTION, "--item: at most %d", SH_ITEMS_MAX - 1);
    SH_TRY(sh_item_open_file(name, equals + 1, identity->id, &shared->items[shared->count]));
    shared->count++;
    return SH_OK;
}

static enum sh_cause open_draft(const char *path, struct shared *shared)
{
    SH_CLEANUP(sh_content_clear) struct sh_content content = {0};
    SH_TRY(sh_read_bundle_file(path, &content));
    SH_TRY(sh_bundle_open(SH_BYTES(content.p, content.n), (struct sh_bytes){0}, &shared->draft));
    if (!shared->draft->draft)
        return sh_fail(SH_BUNDLE_NOT_FOR_US, "%s was issued for one device; share a draft", path);
    return SH_OK;
}

static enum sh_cause open_shared(const struct values *v, const struct sh_identity *identity,
                                 struct shared *shared)
{
    if (v->bundle)
        SH_TRY(open_draft(v->bundle, shared));
    for (size_t i = 0; i < v->items.count; i++)
        SH_TRY(open_item(v->items.values[i], identity, shared));
    if (!shared->draft && shared->count == 0 && !v->calibrate)
        return sh_fail(SH_USAGE_BAD_OPTION, "nothing to share: --bundle FILE or --item NAME=FILE");
    return SH_OK;
}

static enum sh_cause check_options(const struct values *v, int argc, char **argv, int *ret_kind)
{
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: share takes options only", argv[0]);
    if (v->consent && strcmp(v->consent, "code") != 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "--consent %s: this build has code", v->consent);
    *ret_kind = sh_device_kind_by_name(v->kind ? v->kind : "phone");
    if (*ret_kind < 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "--kind %s: phone, tablet, laptop, watch or iot",
                       v->kind);
    if (v->at_once == 0 || v->at_once > AT_ONCE_MAX)
        return sh_fail(SH_USAGE_BAD_OPTION, "--at-once: 1 to %d", AT_ONCE_MAX);
    return SH_OK;
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    const struct values *v = values;
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = NULL;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    SH_CLEANUP(shared_clear) struct shared shared = {0};
    struct sh_share_config config = {
        .common = &v->common, .out = out, .once = v->once, .calibrate = v->calibrate};
    SH_TRY(check_options(v, argc, argv, &config.device_kind));
    SH_TRY(sh_registry_open(v->common.state, &registry));
    SH_TRY(sh_identity_load(v->common.state, &identity));
    SH_TRY(sh_identity_load_ca(identity, v->common.state, (int64_t)time(NULL)));
    SH_TRY(open_shared(v, identity, &shared));
    if (v->unlock)
        SH_TRY(sh_registry_unlock(registry));
    SH_TRY(sh_consent_policy(&v->common, out, v->code_fd >= 0 ? (int)v->code_fd : STDIN_FILENO,
                             &config.policy));
    config.identity = identity;
    config.registry = registry;
    config.items = shared.items;
    config.item_count = shared.count;
    config.draft = shared.draft;
    config.direct_max = v->at_once > 0 ? (unsigned)v->at_once : 0;
    const struct sh_trace_start start = {.common = &v->common,
                                         .role = SH_ANCHOR,
                                         .policy = config.policy,
                                         .calibrate = v->calibrate};
    struct sh_trace_file *trace = sh_trace_file_open(&start);
    config.trace = trace;
    config.tracer = sh_trace_file_tracer(trace);
    enum sh_cause cause = sh_share_run(&config);
    sh_trace_file_close(trace, cause);
    return cause;
}

const struct sh_verb sh_verb_share = {
    .name = "share",
    .usage = "[--bundle FILE] [--item NAME=FILE]... [options]",
    .summary = "Share lines and files with a device held beside this one",
    .text =
        "Waits until a device within one metre runs `simhop sync`, shows a code to be typed\n"
        "there, then sends the bundle and the items. Goes on for further devices until it is\n"
        "interrupted; with --once it ends after the first. With --calibrate a linked device may\n"
        "teach it the level at one metre; then nothing need be shared.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
