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

/* ---- Files ---- */

/* The content of a file that may be secret. */
struct content {
    uint8_t *p;
    size_t n, size;
};

static void content_clear(struct content *content)
{
    if (content->p)
        sh_wipe(content->p, content->size);
    free(content->p);
}

static bool is_stdin(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* All of the file or, for "-", of stdin; one octet more than max when it is longer. */
static enum sh_cause read_all(const char *path, size_t max, struct content *ret_content)
{
    sh_autoclose int fd =
        is_stdin(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    SH_CLEANUP(content_clear) struct content content = {.size = max + 1};
    if (fd < 0)
        return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
    content.p = malloc(content.size);
    if (!content.p)
        return SH_ENV_NO_MEMORY;
    while (content.n < content.size) {
        ssize_t got = read(fd, content.p + content.n, content.size - content.n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        content.n += (size_t)got;
    }
    *ret_content = content;
    content.p = NULL;
    return SH_OK;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        p += written;
        n -= (size_t)written;
    }
    return 0;
}

/* Gives the temporary file its name. Without force a file that is there stays; file systems that cannot promise that
 * in one step are asked first. */
static int put_in_place(const char *temporary, const char *path, bool force)
{
    if (force)
        return rename(temporary, path) == 0 ? 0 : errno;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return rename(temporary, path) == 0 ? 0 : errno;
}

static int sync_folder_of(char *path)
{
    sh_autoclose int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : errno;
}

/* Whole or not at all, mode 0600. */
static enum sh_cause write_file(const char *path, struct sh_bytes bytes, bool force)
{
    sh_autofree char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return SH_ENV_NO_MEMORY;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return sh_cause_of_errno(errno, path);
    int error = fchmod(fd, 0600) == 0 ? write_all(fd, bytes.p, bytes.n) : errno;
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    close(fd);
    if (error == 0)
        error = put_in_place(temporary, path, force);
    if (error) {
        unlink(temporary);
        return sh_cause_of_errno(error, path);
    }
    error =
        sync_folder_of(temporary); /* its folder is the same, and its name is not needed any more */
    return error ? sh_cause_of_errno(error, path) : SH_OK;
}

/* ---- A line from the command line: "iccid=...,apn=internet,..." becomes JSON ---- */

static enum sh_cause bad_line(const char *key, const char *why)
{
    return sh_fail(SH_USAGE_BAD_OPTION, "--line: %s: %s", key, why);
}

static bool add_text(cJSON *object, const char *key, const char *value)
{
    return cJSON_AddItemToObject(object, key, cJSON_CreateString(value));
}

/* The object under this key, made if absent. */
static cJSON *sub_object(cJSON *line, const char *key)
{
    cJSON *object = cJSON_GetObjectItemCaseSensitive(line, key);
    return object ? object : cJSON_AddObjectToObject(line, key);
}

static enum sh_cause add_code(cJSON *line, const char *value)
{
    SH_CLEANUP(content_clear) struct content code = {0};
    if (value[0] != '@')
        return bad_line("code", "give it as code=@FILE or code=@-: every user of the machine can "
                                "read a command line");
    SH_TRY(read_all(value + 1, SH_ACTIVATION_MAX + 2, &code));
    while (code.n > 0 && strchr(" \t\r\n", code.p[code.n - 1]))
        code.n--;
    if (code.n > SH_ACTIVATION_MAX)
        return sh_fail(SH_ACTIVATION_BAD_CODE, "--line: code: longer than 1024 octets");
    code.p[code.n] = '\0'; /* one octet is always left */
    return add_text(sub_object(line, "acquisition"), "activation_code", (const char *)code.p)
               ? SH_OK
               : SH_ENV_NO_MEMORY;
}

static enum sh_cause add_apn(cJSON *line, const char *value)
{
    cJSON *apns = cJSON_GetObjectItemCaseSensitive(line, "apns");
    if (!apns)
        apns = cJSON_AddArrayToObject(line, "apns");
    cJSON *apn = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(apns, apn)) {
        cJSON_Delete(apn);
        return SH_ENV_NO_MEMORY;
    }
    return add_text(apn, "name", value) ? SH_OK : SH_ENV_NO_MEMORY;
}

/* Of the APN that was named last. */
static enum sh_cause add_to_apn(cJSON *line, const char *key, cJSON *value)
{
    cJSON *apns = cJSON_GetObjectItemCaseSensitive(line, "apns");
    cJSON *last = cJSON_GetArrayItem(apns, cJSON_GetArraySize(apns) - 1);
    if (last && cJSON_AddItemToObject(last, key, value))
        return SH_OK;
    cJSON_Delete(value);
    return last ? SH_ENV_NO_MEMORY : bad_line(key, "comes before any apn=");
}

static enum sh_cause add_ip_type(cJSON *line, const char *value)
{
    return add_to_apn(line, "ip_type", cJSON_CreateString(value));
}

static enum sh_cause add_home_only(cJSON *line, const char *value SH_UNUSED)
{
    return add_to_apn(line, "home_only", cJSON_CreateTrue());
}

static enum sh_cause add_confirmation(cJSON *line, const char *value SH_UNUSED)
{
    return cJSON_AddTrueToObject(sub_object(line, "acquisition"), "confirmation_code_required")
               ? SH_OK
               : SH_ENV_NO_MEMORY;
}

static const struct {
    const char *key;
    const char *field; /* a text of the line, or else */
    enum sh_cause (*add)(cJSON *line, const char *value);
    bool flag;
} line_keys[] = {
    {"iccid", "iccid", NULL, false},
    {"provider", "provider_name", NULL, false},
    {"name", "profile_name", NULL, false},
    {"nickname", "nickname", NULL, false},
    {"icon", "icon_file", NULL, false},
    {"relation", "relation", NULL, false},
    {"mcc", "mcc", NULL, false},
    {"mnc", "mnc", NULL, false},
    {"code", NULL, add_code, false},
    {"cc-required", NULL, add_confirmation, true},
    {"apn", NULL, add_apn, false},
    {"ip-type", NULL, add_ip_type, false},
    {"home-only", NULL, add_home_only, true},
};

static enum sh_cause add_pair(cJSON *line, char *pair)
{
    char *value = pair;
    const char *key = strsep(&value, "=");
    for (size_t i = 0; i < SH_COUNT(line_keys); i++) {
        if (strcmp(line_keys[i].key, key) != 0)
            continue;
        if (line_keys[i].flag != (value == NULL))
            return bad_line(key, value ? "takes no value" : "wants a value");
        if (line_keys[i].add)
            return line_keys[i].add(line, value);
        return add_text(line, line_keys[i].field, value) ? SH_OK : SH_ENV_NO_MEMORY;
    }
    /* A value with a comma in it may be what looks like a key here. */
    return sh_fail(SH_USAGE_BAD_OPTION,
                   "--line: a key that is not known (no value may hold a comma)");
}

static enum sh_cause add_pairs(cJSON *line, const char *spec)
{
    sh_autofree char *copy = strdup(spec);
    if (!line || !copy)
        return SH_ENV_NO_MEMORY;
    for (char *rest = copy; rest;)
        SH_TRY(add_pair(line, strsep(&rest, ",")));
    return SH_OK;
}

static enum sh_cause lines_to_json(const struct sh_list *specs, cJSON *root, char **ret_json)
{
    cJSON *lines = cJSON_AddArrayToObject(root, "lines");
    for (size_t i = 0; i < specs->count; i++) {
        cJSON *line = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(lines, line)) {
            cJSON_Delete(line);
            return SH_ENV_NO_MEMORY;
        }
        SH_TRY(add_pairs(line, specs->values[i]));
    }
    *ret_json = cJSON_PrintUnformatted(root);
    return *ret_json ? SH_OK : SH_ENV_NO_MEMORY;
}

static void wipe_codes(cJSON *root)
{
    cJSON *line = NULL;
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(root, "lines"))
    {
        cJSON *code = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(line, "acquisition"), "activation_code");
        if (cJSON_IsString(code))
            sh_wipe(code->valuestring, strlen(code->valuestring));
    }
}

static enum sh_cause read_lines(const struct sh_list *specs, Simhop__Bundle **ret_bundle)
{
    SH_CLEANUP(sh_free_secretp) char *json = NULL;
    cJSON *root = cJSON_CreateObject();
    if (!root)
        return SH_ENV_NO_MEMORY;
    enum sh_cause cause = lines_to_json(specs, root, &json);
    wipe_codes(root);
    cJSON_Delete(root);
    SH_TRY(cause);
    cause = sh_bundle_from_json(SH_BYTES(json, strlen(json)), NULL, ret_bundle);
    return cause == SH_OK ? SH_OK : sh_fail(cause, "--line: %s", sh_detail());
}

/* ---- create ---- */

static enum sh_cause read_from(const char *path, Simhop__Bundle **ret_bundle)
{
    SH_CLEANUP(content_clear) struct content json = {0};
    sh_autofree char *copy = is_stdin(path) ? NULL : strdup(path);
    if (!copy && !is_stdin(path))
        return SH_ENV_NO_MEMORY;
    SH_TRY(read_all(path, SH_BUNDLE_JSON_MAX, &json));
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
    SH_TRY(read_lines(&v->lines, &more));
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
                                const struct sh_identity *identity, struct content *ret_bytes)
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
    SH_CLEANUP(content_clear) struct content sealed = {0};
    char signer[ID_DIGITS + 1];
    if (!v->output)
        return sh_fail(SH_USAGE_BAD_OPTION, "bundle create: -o FILE is missing");
    if (!v->from && v->lines.count == 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "bundle create: --from FILE or --line is missing");
    SH_TRY(read_input(v, &content));
    SH_TRY(sh_identity_load(v->common.state, &identity));
    SH_TRY(seal_draft(v, content, identity, &sealed));
    SH_TRY(write_file(v->output, SH_BYTES(sealed.p, sealed.n), v->force));
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
    SH_CLEANUP(content_clear) struct content content = {0};
    SH_CLEANUP(sh_bundle_freep) struct sh_bundle *bundle = NULL;
    SH_TRY(read_all(file, SH_BUNDLE_MAX, &content));
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
