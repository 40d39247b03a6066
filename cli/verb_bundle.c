/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop bundle create|show|check`: makes a signed draft, and looks into drafts and issued bundles. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/bundle_line.h"
#include "cli/files.h"
#include "cli/output_form.h"
#include "cli/verb.h"
#include "crypto/identity.h"
#include "pairing/registry.h"
#include "profile/activation_code.h"
#include "profile/bundle_json.h"
#include "profile/text.h"

struct values {
    struct sh_common common;
    const char *from, *output;
    struct sh_list lines;
    bool force, reveal;
};

#define ID_DIGITS (2 * SH_DEVICE_ID_SIZE)

/* ---- create ---- */

static enum sh_cause read_from(const char *path, Simhop__Bundle **ret_bundle)
{
    SH_CLEANUP(sh_content_clear) struct sh_content json = {0};
    sh_autofree char *copy = sh_is_stdin(path) ? NULL : strdup(path);
    if (!copy && !sh_is_stdin(path))
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_read_file(path, SH_BUNDLE_JSON_MAX, &json));
    enum sh_cause cause =
        sh_bundle_from_json(SH_BYTES(json.p, json.n), copy ? dirname(copy) : NULL, ret_bundle);
    return cause == SH_OK ? SH_OK : sh_fail(cause, "%s: %s", path, sh_detail());
}

/* Moves the lines of one behind those of the other. */
static enum sh_cause append_lines(Simhop__Bundle *bundle, Simhop__Bundle *more)
{
    size_t n = bundle->n_lines + more->n_lines;
    if (more->n_lines == 0)
        return SH_OK;
    Simhop__ProfileInstance **lines = reallocarray(bundle->lines, n, sizeof(*lines));
    if (!lines)
        return SH_ENV_NO_MEMORY;
    memcpy(lines + bundle->n_lines, more->lines, more->n_lines * sizeof(*lines));
    bundle->lines = lines;
    bundle->n_lines = n;
    more->n_lines = 0;
    return SH_OK;
}

static enum sh_cause read_input(const struct values *v, Simhop__Bundle **ret_bundle)
{
    SH_CLEANUP(sh_bundle_content_freep) Simhop__Bundle *bundle = NULL;
    SH_CLEANUP(sh_bundle_content_freep) Simhop__Bundle *more = NULL;
    if (v->from)
        SH_TRY(read_from(v->from, &bundle));
    SH_TRY(sh_bundle_from_lines(&v->lines, &more));
    if (bundle) {
        SH_TRY(append_lines(bundle, more));
        *ret_bundle = bundle;
        bundle = NULL;
    } else {
        *ret_bundle = more;
        more = NULL;
    }
    return SH_OK;
}

static enum sh_cause seal_draft(const struct values *v, const Simhop__Bundle *content,
                                const struct sh_identity *identity, struct sh_content *ret_bytes)
{
    uint8_t id[16];
    SH_TRY(sh_random(id, sizeof(id)));
    Simhop__Bundle draft = *content;
    Simhop__Device anchor;
    simhop__device__init(&anchor); /* clang finds the INIT macro of a message with texts unclean */
    if (content->anchor)
        anchor = *content->anchor;
    if (!anchor.name || !anchor.name[0])
        anchor.name = (char *)(uintptr_t)v->common.name;
    draft.anchor = &anchor;
    draft.id = (ProtobufCBinaryData){.data = id, .len = sizeof(id)};
    draft.issued = time(NULL);
    SH_TRY(sh_bundle_seal(&draft, identity, &ret_bytes->p, &ret_bytes->n));
    ret_bytes->size = ret_bytes->n;
    return SH_OK;
}

static enum sh_cause create(const struct values *v, struct sh_output *out,
                            const char *file SH_UNUSED)
{
    SH_CLEANUP(sh_bundle_content_freep) Simhop__Bundle *content = NULL;
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = NULL;
    SH_CLEANUP(sh_content_clear) struct sh_content sealed = {0};
    char signer[ID_DIGITS + 1];
    if (!v->output)
        return sh_fail(SH_USAGE_BAD_OPTION, "bundle create: -o FILE is missing");
    if (!v->from && v->lines.count == 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "bundle create: --from FILE or --line is missing");
    SH_TRY(read_input(v, &content));
    SH_TRY(sh_identity_load(v->common.state, &identity));
    SH_TRY(seal_draft(v, content, identity, &sealed));
    SH_TRY(sh_write_file(v->output, SH_BYTES(sealed.p, sealed.n), v->force));
    sh_hex(identity->id, SH_DEVICE_ID_SIZE, signer);
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "bundle-created");
        sh_json_text(event, "path", v->output);
        sh_json_uint(event, "lines", content->n_lines);
        sh_json_uint(event, "size", sealed.n);
        sh_json_text(event, "signer", signer);
        sh_json_emit(out, event);
    } else {
        sh_output_note(out, "%s: a draft with %zu line%s, %zu bytes, signed by this device.",
                       v->output, content->n_lines, content->n_lines == 1 ? "" : "s", sealed.n);
    }
    return SH_OK;
}

/* ---- show, check ---- */

struct signer {
    const char *relation; /* "this-device", "linked-anchor", "unknown" */
    char id[ID_DIGITS + 1];
    char name[65]; /* of a linked anchor */
};

static bool has_file(const char *folder, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

/* Who signed? Only asked of what is there: looking at a file makes no identity. */
static enum sh_cause find_signer(const char *state, const struct sh_bundle *bundle,
                                 struct signer *ret_signer)
{
    SH_CLEANUP(sh_identity_freep) struct sh_identity *identity = NULL;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    struct signer signer = {.relation = "unknown"};
    sh_hex(bundle->signer, SH_DEVICE_ID_SIZE, signer.id);
    if (has_file(state, "device.key")) {
        SH_TRY(sh_identity_load(state, &identity));
        if (memcmp(identity->id, bundle->signer, SH_DEVICE_ID_SIZE) == 0)
            signer.relation = "this-device";
    }
    if (has_file(state, "registry.db")) {
        struct sh_device device;
        SH_TRY(sh_registry_open(state, &registry));
        if (sh_registry_get_device(registry, bundle->signer, SH_DEVICE_IS_ANCHOR, &device) ==
            SH_OK) {
            signer.relation = "linked-anchor";
            memcpy(signer.name, device.name, sizeof(signer.name));
        }
    }
    *ret_signer = signer;
    return SH_OK;
}

static void print_signer(struct sh_output *out, const struct signer *signer)
{
    if (strcmp(signer->relation, "this-device") == 0)
        sh_output_note(out, "Signed by this device (%s).", signer->id);
    else if (strcmp(signer->relation, "linked-anchor") == 0)
        sh_output_note(out, "Signed by %s (%s), which this device is linked to.", signer->name,
                       signer->id);
    else
        sh_output_note(out, "Signed by %s, a device that this one is not linked to.", signer->id);
}

static enum sh_cause open_file(const struct values *v, const char *file,
                               struct sh_bundle **ret_bundle, struct signer *ret_signer)
{
    SH_CLEANUP(sh_content_clear) struct sh_content content = {0};
    SH_CLEANUP(sh_bundle_freep) struct sh_bundle *bundle = NULL;
    SH_TRY(sh_read_file(file, SH_BUNDLE_MAX, &content));
    enum sh_cause cause =
        sh_bundle_open(SH_BYTES(content.p, content.n), SH_BYTES(NULL, 0), &bundle);
    if (cause != SH_OK)
        return sh_fail(cause, "%s%s%s", file, sh_detail()[0] ? ": " : "", sh_detail());
    SH_TRY(find_signer(v->common.state, bundle, ret_signer));
    *ret_bundle = bundle;
    bundle = NULL;
    return SH_OK;
}

static cJSON *bundle_event(struct sh_output *out, const char *name, const struct sh_bundle *bundle,
                           const struct signer *signer)
{
    cJSON *event = sh_json_event(out, name);
    sh_json_text(event, "state", bundle->draft ? "draft" : "issued");
    sh_json_text(event, "signer", signer->id);
    sh_json_text(event, "signer_is", signer->relation);
    sh_json_text(event, "signer_name", signer->name[0] ? signer->name : NULL);
    sh_json_uint(event, "revision", bundle->bundle->revision);
    sh_json_int(event, "issued", bundle->bundle->issued);
    sh_json_int(event, "expiry", bundle->bundle->expiry);
    return event;
}

static enum sh_cause show(const struct values *v, struct sh_output *out, const char *file)
{
    SH_CLEANUP(sh_bundle_freep) struct sh_bundle *bundle = NULL;
    SH_CLEANUP(sh_free_secretp) char *text = NULL;
    struct signer signer;
    sh_detail_clear();
    SH_TRY(open_file(v, file, &bundle, &signer));
    if (!sh_output_is_json(out)) {
        SH_TRY(sh_bundle_to_text(bundle->bundle, v->reveal, &text));
        sh_output_text(out, text);
        print_signer(out, &signer);
        return SH_OK;
    }
    SH_TRY(sh_bundle_to_json(bundle->bundle, v->reveal, &text));
    cJSON *event = bundle_event(out, "bundle", bundle, &signer);
    if (event)
        cJSON_AddItemToObject(event, "bundle", cJSON_Parse(text));
    sh_json_emit(out, event);
    return SH_OK;
}

static void print_time(struct sh_output *out, const char *what, int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[32];
    if (seconds && localtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm))
        sh_output_note(out, "%s %s.", what, text);
}

static enum sh_cause check(const struct values *v, struct sh_output *out, const char *file)
{
    SH_CLEANUP(sh_bundle_freep) struct sh_bundle *bundle = NULL;
    struct signer signer;
    sh_detail_clear();
    SH_TRY(open_file(v, file, &bundle, &signer));
    const Simhop__Bundle *b = bundle->bundle;
    if (sh_output_is_json(out)) {
        cJSON *event = bundle_event(out, "bundle-checked", bundle, &signer);
        sh_json_uint(event, "lines", b->n_lines);
        sh_json_emit(out, event);
    } else {
        if (bundle->draft)
            sh_output_note(out, "A draft with %zu line%s: `simhop share --bundle` issues it.",
                           b->n_lines, b->n_lines == 1 ? "" : "s");
        else
            sh_output_note(out, "Issued, revision %" PRIu64 ", with %zu line%s.", b->revision,
                           b->n_lines, b->n_lines == 1 ? "" : "s");
        print_signer(out, &signer);
        print_time(out, "Made", b->issued);
        print_time(out, "Valid until", b->expiry);
    }
    if (b->expiry && b->expiry <= time(NULL))
        return sh_fail(SH_BUNDLE_EXPIRED, "%s", file);
    return SH_OK;
}

/* ---- The verb ---- */

static const struct {
    const char *name;
    bool takes_file;
    enum sh_cause (*run)(const struct values *v, struct sh_output *out, const char *file);
} actions[] = {
    {"create", false, create},
    {"show", true, show},
    {"check", true, check},
};

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    for (size_t i = 0; argc > 0 && i < SH_COUNT(actions); i++) {
        if (strcmp(actions[i].name, argv[0]) != 0)
            continue;
        if (argc != (actions[i].takes_file ? 2 : 1))
            return sh_fail(SH_USAGE_BAD_OPTION, "bundle %s: %s", argv[0],
                           actions[i].takes_file ? "one FILE is wanted" : "takes no more words");
        return actions[i].run(values, out, actions[i].takes_file ? argv[1] : NULL);
    }
    return sh_fail(SH_USAGE_BAD_OPTION, "bundle: create, show or check is wanted");
}

static const struct sh_option options[] = {
    {"from", 0, SH_OPTION_TEXT, "FILE", "create: JSON to read, or - for standard input.",
     offsetof(struct values, from)},
    {"line", 0, SH_OPTION_LIST, "KEY=VALUE,...", "create: a line, see above. May be given again.",
     offsetof(struct values, lines)},
    {"output", 'o', SH_OPTION_TEXT, "FILE", "create: the bundle's file, for its owner alone.",
     offsetof(struct values, output)},
    {"force", 0, SH_OPTION_FLAG, NULL, "create: replace FILE if it is there.",
     offsetof(struct values, force)},
    {"reveal", 0, SH_OPTION_FLAG, NULL, "show: print matching ids, passwords and tokens as well.",
     offsetof(struct values, reveal)},
    {0},
};

const struct sh_verb sh_verb_bundle = {
    .name = "bundle",
    .usage = "create (--from FILE | --line ...) -o FILE | show FILE | check FILE",
    .summary = "Makes, shows or checks a bundle of lines",
    .text = "create  Reads lines from JSON (docs/bundle.md) and writes a draft, signed by this "
            "device,\n"
            "        for `simhop share --bundle`.\n"
            "show    Prints what is in a bundle and who signed it.\n"
            "check   Says whether a bundle is whole and in order; exit status 6 if not.\n"
            "\n"
            "A line on the command line is a list of keys, with no comma in any value:\n"
            "  iccid, provider, name, nickname, icon=FILE, relation, mcc, mnc, code=@FILE, "
            "cc-required,\n"
            "  apn (may come again), and behind an apn: ip-type, home-only.\n"
            "  --line "
            "'iccid=8949449999999990007,name=Work,code=@code.txt,apn=internet,ip-type=ipv4v6'\n"
            "An activation code is read from a file (code=@FILE) or standard input (code=@-) only, "
            "since\n"
            "every user of the machine can read command lines. Passwords are for JSON.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
