/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON to a bundle, led by the descriptors; only activation codes, icons and ICCIDs are special. */
#include "profile/bundle_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "profile/activation_code.h"
#include "profile/fields.h"
#include "profile/text.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53: larger numbers are not exact in JSON */
#define BASE64    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define LIST_MAX  1024 /* before the tighter limits of validate */

static enum sh_cause bad(const char *path, const char *why)
{
    return sh_fail(SH_USAGE_BAD_INPUT, "%s: %s", path[0] ? path : "bundle", why);
}

static enum sh_cause read_message(const ProtobufCMessageDescriptor *schema, const cJSON *json,
                                  const char *path, const char *folder,
                                  ProtobufCMessage **ret_message);

/* A number as such or as a string of digits, from min on. */
static enum sh_cause read_integer(const cJSON *json, const char *path, int64_t min, uint64_t max,
                                  uint64_t *ret_value)
{
    if (cJSON_IsNumber(json)) {
        double d = json->valuedouble;
        if (!(d >= (double)min && d <= EXACT_MAX && d == (double)(int64_t)d) ||
            (d > 0 && (uint64_t)d > max))
            return bad(path, "not a whole number, or out of range");
        *ret_value = d < 0 ? (uint64_t)(int64_t)d : (uint64_t)d;
        return SH_OK;
    }
    if (!cJSON_IsString(json))
        return bad(path, "not a number");
    const char *s = json->valuestring;
    size_t n = strlen(s);
    if (n == 0 || n > 20 || strspn(s, "0123456789") != n)
        return bad(path, "not a whole number");
    errno = 0;
    uint64_t value = strtoull(s, NULL, 10);
    if (errno || value > max)
        return bad(path, "out of range");
    *ret_value = value;
    return SH_OK;
}

static enum sh_cause read_number(struct sh_value value, const cJSON *json, const char *path)
{
    void *at = (void *)(uintptr_t)value.at;
    uint64_t n = 0;
    switch ((int)value.field->type) {
    case PROTOBUF_C_TYPE_UINT64:
        SH_TRY(read_integer(json, path, 0, UINT64_MAX, &n));
        *(uint64_t *)at = n;
        return SH_OK;
    case PROTOBUF_C_TYPE_INT64:
        SH_TRY(read_integer(json, path, 0, INT64_MAX, &n));
        *(int64_t *)at = (int64_t)n;
        return SH_OK;
    case PROTOBUF_C_TYPE_UINT32:
        SH_TRY(read_integer(json, path, 0, UINT32_MAX, &n));
        *(uint32_t *)at = (uint32_t)n;
        return SH_OK;
    default:
        return sh_fail(SH_INTERNAL_BUG, "%s: a field of a type that JSON does not know", path);
    }
}

static enum sh_cause read_string(struct sh_value value, const cJSON *json, const char *path)
{
    if (!cJSON_IsString(json))
        return bad(path, "not a string");
    if (sh_field_is_secret(value.schema, value.field) && strcmp(json->valuestring, "(hidden)") == 0)
        return bad(path, "was hidden; show the bundle with --reveal to make it again");
    char *copy = strdup(json->valuestring);
    if (!copy)
        return SH_ENV_NO_MEMORY;
    *(char **)(uintptr_t)value.at = copy;
    return SH_OK;
}

static enum sh_cause read_enum(struct sh_value value, const cJSON *json, const char *path)
{
    int number = 0;
    if (!cJSON_IsString(json))
        return bad(path, "not a word in quotes");
    if (!sh_enum_by_word(value.field->descriptor, json->valuestring, &number))
        return bad(path, "not a word that this version knows");
    *(int *)(uintptr_t)value.at = number;
    return SH_OK;
}

static enum sh_cause set_bytes(struct sh_value value, const uint8_t *p, size_t n)
{
    ProtobufCBinaryData *data = (ProtobufCBinaryData *)(uintptr_t)value.at;
    if (n == 0)
        return SH_OK;
    uint8_t *copy = malloc(n);
    if (!copy)
        return SH_ENV_NO_MEMORY;
    memcpy(copy, p, n);
    *data = (ProtobufCBinaryData){.data = copy, .len = n};
    return SH_OK;
}

/* Of a hexadecimal digit. */
static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* At most 4 KiB: more than any field may hold. */
static enum sh_cause read_bytes(struct sh_value value, const cJSON *json, const char *path)
{
    uint8_t octets[4096];
    if (!cJSON_IsString(json))
        return bad(path, "not a string");
    const char *s = json->valuestring;
    size_t n = strlen(s);
    if (n > 2 * sizeof(octets))
        return bad(path, "too long");
    if (n % 2 || s[strspn(s, "0123456789abcdefABCDEF")])
        return bad(path, "not hexadecimal");
    for (size_t i = 0; i < n / 2; i++)
        octets[i] = (uint8_t)(hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
    return set_bytes(value, octets, n / 2);
}

static enum sh_cause read_icon(struct sh_value value, const cJSON *json, const char *path)
{
    uint8_t octets[SH_BUNDLE_ICON_MAX + 2];
    if (!cJSON_IsString(json))
        return bad(path, "not a string");
    const char *s = json->valuestring;
    size_t n = strlen(s), letters = strspn(s, BASE64);
    if (n / 4 * 3 > sizeof(octets))
        return bad(path, "larger than 1024 octets");
    /* OpenSSL reads '=' as a zero wherever it stands. */
    size_t padding = n - letters;
    int decoded = EVP_DecodeBlock(octets, (const unsigned char *)s, (int)n);
    if (n % 4 || padding > 2 || strspn(s + letters, "=") != padding || decoded < (int)padding)
        return bad(path, "not base64");
    return set_bytes(value, octets, (size_t)decoded - padding);
}

/* "icon_file" stands for "icon". The file must be a plain one, so that a pipe cannot hold us up. */
static enum sh_cause read_icon_file(struct sh_value value, const cJSON *json, const char *path,
                                    const char *folder)
{
    uint8_t octets[SH_BUNDLE_ICON_MAX + 1];
    char name[PATH_MAX];
    sh_autoclose int fd = -1;
    struct stat st;
    if (!cJSON_IsString(json) || !json->valuestring[0])
        return bad(path, "not a path");
    bool relative = folder && json->valuestring[0] != '/';
    int n = snprintf(name, sizeof(name), "%s%s%s", relative ? folder : "", relative ? "/" : "",
                     json->valuestring);
    if (n < 0 || (size_t)n >= sizeof(name))
        return bad(path, "too long");
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return sh_fail(SH_SOURCE_UNREADABLE, "%s: not a plain file", path);
    ssize_t got = read(fd, octets, sizeof(octets));
    if (got < 0)
        return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
    if (got > SH_BUNDLE_ICON_MAX)
        return bad(path, "larger than 1024 octets");
    return set_bytes(value, octets, (size_t)got);
}

static enum sh_cause read_code(struct sh_value value, const cJSON *json, const char *path)
{
    if (!cJSON_IsString(json))
        return bad(path, "not a string");
    if (strstr(json->valuestring, "(hidden)"))
        return bad(path, "was hidden; show the bundle with --reveal to make it again");
    struct sh_activation code;
    enum sh_cause cause = sh_activation_parse(json->valuestring, &code);
    if (cause == SH_OK)
        cause = sh_activation_to_message(&code, (Simhop__ActivationCode **)(uintptr_t)value.at);
    sh_wipe(&code, sizeof(code));
    return cause == SH_ACTIVATION_BAD_CODE ? sh_fail(cause, "%s: %s", path, sh_detail()) : cause;
}

static enum sh_cause read_value(struct sh_value value, const cJSON *json, const char *path,
                                const char *folder)
{
    switch ((int)value.field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        if (!cJSON_IsBool(json))
            return bad(path, "not true or false");
        *(protobuf_c_boolean *)(uintptr_t)value.at = cJSON_IsTrue(json);
        return SH_OK;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(value, json, path);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(value, json, path);
    case PROTOBUF_C_TYPE_BYTES:
        if (sh_field_is(value.schema, value.field, &simhop__profile_instance__descriptor, "icon"))
            return read_icon(value, json, path);
        return read_bytes(value, json, path);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (value.field->descriptor == &simhop__activation_code__descriptor)
            return read_code(value, json, path);
        return read_message(value.field->descriptor, json, path, folder,
                            (ProtobufCMessage **)(uintptr_t)value.at);
    default:
        return read_number(value, json, path);
    }
}

static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
        return sizeof(void *);
    return sizeof(ProtobufCBinaryData); /* the largest there is */
}

/* The count grows with each value read, so that what was read can always be freed. */
static enum sh_cause read_list(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                               const cJSON *json, const char *parent, const char *folder)
{
    char path[SH_PATH_MAX];
    size_t *count = (size_t *)((char *)message + field->quantifier_offset);
    sh_path(parent, field, 0, path);
    if (!cJSON_IsArray(json)) {
        path[strlen(path) - strlen("[0]")] = '\0';
        return bad(path, "not a list");
    }
    size_t n = (size_t)cJSON_GetArraySize(json);
    if (n > LIST_MAX)
        return bad(path, "too many");
    if (n == 0)
        return SH_OK;
    void **list = (void **)((char *)message + field->offset);
    *list = calloc(n, element_size(field));
    if (!*list)
        return SH_ENV_NO_MEMORY;
    for (const cJSON *item = json->child; item; item = item->next) {
        sh_path(parent, field, *count, path);
        SH_TRY(read_value(sh_value_get(message, field, *count), item, path, folder));
        (*count)++;
    }
    return SH_OK;
}

static bool is_icon_file(const ProtobufCMessageDescriptor *schema, const char *key)
{
    return schema == &simhop__profile_instance__descriptor && strcmp(key, "icon_file") == 0;
}

/* A key is the person's own text; it is repeated only when it looks like a key. */
static enum sh_cause bad_key(const char *path, const char *key, const char *why)
{
    char in[SH_PATH_MAX + 8];
    snprintf(in, sizeof(in), "%s%s", path, path[0] ? ": " : "");
    bool plain =
        strlen(key) <= 40 && !key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRS"
                                              "TUVWXYZ0123456789_-")];
    if (plain)
        return sh_fail(SH_USAGE_BAD_INPUT, "%skey \"%s\": %s", in, key, why);
    return sh_fail(SH_USAGE_BAD_INPUT, "%sa key: %s", in, why);
}

static enum sh_cause read_key(ProtobufCMessage *message, const cJSON *json, const char *parent,
                              const char *folder, uint64_t *seen)
{
    const ProtobufCMessageDescriptor *schema = message->descriptor;
    bool icon_file = is_icon_file(schema, json->string);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(schema, icon_file ? "icon" : json->string);
    if (!field)
        return bad_key(parent, json->string, "not known");
    uint64_t bit = UINT64_C(1) << (field - schema->fields);
    if (*seen & bit)
        return bad_key(parent, json->string, "comes twice");
    *seen |= bit;
    if (sh_field_is_list(field))
        return read_list(message, field, json, parent, folder);
    char path[SH_PATH_MAX];
    sh_path(parent, field, 0, path);
    struct sh_value value = sh_value_get(message, field, 0);
    if (!icon_file)
        return read_value(value, json, path, folder);
    if (!sh_strcopy(path + strlen(path), sizeof(path) - strlen(path), "_file"))
        return bad(path, "too long");
    return read_icon_file(value, json, path, folder);
}

static enum sh_cause read_keys(ProtobufCMessage *message, const cJSON *json, const char *path,
                               const char *folder)
{
    uint64_t seen = 0;
    for (const cJSON *item = json->child; item; item = item->next)
        SH_TRY(read_key(message, item, path, folder, &seen));
    return SH_OK;
}

/* *ret_message is set before the keys are read: it belongs to the message above, which is freed on failure. */
static enum sh_cause read_message(const ProtobufCMessageDescriptor *schema, const cJSON *json,
                                  const char *path, const char *folder,
                                  ProtobufCMessage **ret_message)
{
    if (!cJSON_IsObject(json))
        return bad(path, "not an object");
    ProtobufCMessage *message = calloc(1, schema->sizeof_message);
    if (!message)
        return SH_ENV_NO_MEMORY;
    protobuf_c_message_init(schema, message);
    enum sh_cause cause = read_keys(message, json, path, folder);
    if (cause != SH_OK) {
        sh_message_wipe(message);
        sh_msg_free(message);
        return cause;
    }
    *ret_message = message;
    return SH_OK;
}

/* What a person may leave out or write in another way. */
static void complete(Simhop__Bundle *bundle)
{
    for (size_t i = 0; i < bundle->n_lines; i++) {
        Simhop__ProfileInstance *line = bundle->lines[i];
        char iccid[21];
        if (line->iccid[0] && sh_iccid_normalise(line->iccid, iccid))
            memcpy(line->iccid, iccid, strlen(iccid) + 1);
        Simhop__Acquisition *acquisition = line->acquisition;
        if (acquisition && acquisition->activation_code &&
            acquisition->method == SIMHOP__ACQUISITION_METHOD__ACQUISITION_UNSPECIFIED)
            acquisition->method = SIMHOP__ACQUISITION_METHOD__ACQUISITION_ACTIVATION_CODE;
    }
}

static enum sh_cause check_draft(const Simhop__Bundle *bundle)
{
    const char *filled = bundle->recipient  ? "recipient"
                         : bundle->revision ? "revision"
                         : bundle->token    ? "token"
                         : bundle->consent  ? "consent"
                                            : NULL;
    if (filled)
        return bad(filled, "is filled in when the bundle is issued, a draft has none");
    return SH_OK;
}

static void wipe_json(cJSON *json)
{
    for (; json; json = json->next) {
        if (json->valuestring)
            sh_wipe(json->valuestring, strlen(json->valuestring));
        wipe_json(json->child);
    }
}

static void free_jsonp(cJSON **json)
{
    wipe_json(*json);
    cJSON_Delete(*json);
}

/* cJSON ends a string at an escaped NUL, and so would lose what follows. */
static bool has_nul(struct sh_bytes json)
{
    return memchr(json.p, '\0', json.n) || memmem(json.p, json.n, "\\u0000", 6);
}

static enum sh_cause parse(struct sh_bytes json, cJSON **ret_json)
{
    const char *end = NULL;
    if (json.n > SH_BUNDLE_JSON_MAX)
        return bad("", "the JSON text is larger than 1 MiB");
    if (json.n == 0 || has_nul(json))
        return bad("", "empty, or with a NUL inside");
    cJSON *root = cJSON_ParseWithLengthOpts((const char *)json.p, json.n, &end, 0);
    size_t at = end ? (size_t)(end - (const char *)json.p) : 0;
    size_t line = 1;
    for (size_t i = 0; i < at && i < json.n; i++)
        line += json.p[i] == '\n';
    if (!root)
        return sh_fail(SH_USAGE_BAD_INPUT, "not JSON, or nested too deep, at line %zu", line);
    *ret_json = root;
    while (at < json.n && strchr(" \t\r\n", json.p[at]))
        at++;
    if (at < json.n)
        return sh_fail(SH_USAGE_BAD_INPUT, "something follows the JSON text, at line %zu", line);
    return SH_OK;
}

enum sh_cause sh_bundle_from_json(struct sh_bytes json, const char *base_folder,
                                  Simhop__Bundle **ret_bundle)
{
    SH_CLEANUP(free_jsonp) cJSON *root = NULL;
    SH_CLEANUP(sh_bundle_content_freep) Simhop__Bundle *bundle = NULL;
    SH_TRY(parse(json, &root));
    ProtobufCMessage *message = NULL;
    SH_TRY(read_message(&simhop__bundle__descriptor, root, "", base_folder, &message));
    bundle = (Simhop__Bundle *)message;
    complete(bundle);
    SH_TRY(check_draft(bundle));
    SH_TRY(sh_bundle_validate(bundle));
    *ret_bundle = bundle;
    bundle = NULL;
    return SH_OK;
}
