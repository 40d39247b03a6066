/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/bundle_line.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cli/files.h"
#include "crypto/secret.h"
#include "profile/activation_code.h"
#include "profile/bundle_json.h"
#include "profile/text.h"

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
    SH_CLEANUP(sh_content_clear) struct sh_content code = {0};
    if (value[0] != '@')
        return bad_line("code", "give it as code=@FILE or code=@-: every user of the machine can "
                                "read a command line");
    SH_TRY(sh_read_file(value + 1, SH_ACTIVATION_MAX + 2, &code));
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

enum sh_cause sh_bundle_from_lines(const struct sh_list *specs, Simhop__Bundle **ret_bundle)
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
