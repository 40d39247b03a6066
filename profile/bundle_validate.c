/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The limits of a bundle: a table of what each field may hold, and then what hangs together. */
#include <stdio.h>
#include <string.h>

#include "crypto/secret.h"
#include "profile/activation_code.h"
#include "profile/bundle.h"
#include "profile/fields.h"
#include "profile/text.h"
#include "proto/text.h"

#define DIGITS "0123456789"

/* Gives NULL if the value has its form, else what is wrong. Never called with an empty value. */
typedef const char *(*check_fn)(struct sh_value value);

static bool is_number(const char *s, size_t min, size_t max)
{
    size_t n = strspn(s, DIGITS);
    return s[n] == '\0' && n >= min && n <= max;
}

static const char *check_iccid(struct sh_value value)
{
    return is_number(sh_value_string(value), 18, 20) ? NULL : "not 18 to 20 digits";
}

static const char *check_eid(struct sh_value value)
{
    return sh_eid_is_valid(sh_value_string(value)) ? NULL : "not 32 digits with a right remainder";
}

static const char *check_imei(struct sh_value value)
{
    return sh_imei_is_valid(sh_value_string(value)) ? NULL
                                                    : "not 15 digits with a right check digit";
}

static const char *check_mcc(struct sh_value value)
{
    return is_number(sh_value_string(value), 3, 3) ? NULL : "not 3 digits";
}

static const char *check_mnc(struct sh_value value)
{
    return is_number(sh_value_string(value), 2, 3) ? NULL : "not 2 or 3 digits";
}

static const char *check_mccmnc(struct sh_value value)
{
    return is_number(sh_value_string(value), 5, 6) ? NULL : "not 5 or 6 digits";
}

static const char *check_hex(struct sh_value value)
{
    const char *s = sh_value_string(value);
    return s[strspn(s, DIGITS "abcdefABCDEF")] == '\0' ? NULL : "not hexadecimal";
}

/* What NetworkManager takes as an access point name. */
static const char *check_apn(struct sh_value value)
{
    for (const char *s = sh_value_string(value); *s; s++) {
        if (!strchr(DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-", *s))
            return "a character that is no letter, digit, '.', '_' or '-'";
    }
    return NULL;
}

static bool is_url(const char *s, const char *scheme)
{
    if (strncmp(s, scheme, strlen(scheme)) != 0 || strlen(s) == strlen(scheme))
        return false;
    for (; *s; s++) {
        if (*s <= ' ' || *s > '~' || strchr("\"<>\\^`{|}", *s))
            return false;
    }
    return true;
}

static const char *check_https(struct sh_value value)
{
    return is_url(sh_value_string(value), "https://") ? NULL : "not an https address";
}

static const char *check_http(struct sh_value value)
{
    const char *s = sh_value_string(value);
    return is_url(s, "https://") || is_url(s, "http://") ? NULL : "not an http address";
}

static const char *check_date(struct sh_value value)
{
    static const unsigned days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *s = sh_value_string(value);
    bool form = strlen(s) == 10 && strspn(s, DIGITS) == 4 && s[4] == '-' &&
                strspn(s + 5, DIGITS) == 2 && s[7] == '-' && strspn(s + 8, DIGITS) == 2;
    if (!form)
        return "not a date as YYYY-MM-DD";
    unsigned month = (unsigned)((s[5] - '0') * 10 + s[6] - '0');
    unsigned day = (unsigned)((s[8] - '0') * 10 + s[9] - '0');
    if (month < 1 || month > 12 || day < 1 || day > days[month - 1])
        return "not a date as YYYY-MM-DD";
    return NULL;
}

static const char *check_picture(struct sh_value value)
{
    struct sh_bytes b = sh_value_bytes(value);
    if ((b.n > 8 && memcmp(b.p, "\x89PNG\r\n\x1a\n", 8) == 0) ||
        (b.n > 3 && memcmp(b.p, "\xff\xd8\xff", 3) == 0))
        return NULL;
    return "neither PNG nor JPEG";
}

static const char *check_16(struct sh_value value)
{
    return sh_value_bytes(value).n == 16 ? NULL : "not 16 octets";
}

static const char *check_time(struct sh_value value)
{
    return *(const int64_t *)value.at > 0 ? NULL : "a time before 1970";
}

static const char *check_mtu(struct sh_value value)
{
    uint32_t mtu = *(const uint32_t *)value.at;
    return mtu >= 576 && mtu <= 65535 ? NULL : "not 576 to 65535";
}

static const char *check_percent(struct sh_value value)
{
    return *(const uint32_t *)value.at <= 100 ? NULL : "over 100";
}

/* The value decides what is done, so it must be one that we know. */
static const char *check_known(struct sh_value value)
{
    return protobuf_c_enum_descriptor_get_value(value.field->descriptor, *(const int *)value.at)
               ? NULL
               : "a value that this version does not know";
}

struct rule {
    const ProtobufCMessageDescriptor *schema;
    const char *field;
    size_t max;  /* octets of a string or of bytes; 0 = SIZE_DEFAULT */
    size_t most; /* values in a list; 0 = LIST_DEFAULT */
    check_fn check;
};

#define SIZE_DEFAULT 256
#define LIST_DEFAULT 32

static const struct rule rules[] = {
    {&simhop__bundle__descriptor, "id", 16, 0, check_16},
    {&simhop__bundle__descriptor, "issued", 0, 0, check_time},
    {&simhop__bundle__descriptor, "expiry", 0, 0, check_time},
    {&simhop__bundle__descriptor, "lines", 0, SH_BUNDLE_LINES_MAX, NULL},
    {&simhop__device__descriptor, "id", 16, 0, check_16},
    {&simhop__device__descriptor, "name", 64, 0, NULL},
    {&simhop__device__descriptor, "eid", 32, 0, check_eid},
    {&simhop__device__descriptor, "imei", 15, 0, check_imei},
    {&simhop__device__descriptor, "euicc_version", 32, 0, NULL},
    {&simhop__device__descriptor, "ci_key_ids", 64, 0, check_hex},
    {&simhop__profile_instance__descriptor, "iccid", 20, 0, check_iccid},
    {&simhop__profile_instance__descriptor, "provider_name", 32, 0, NULL},
    {&simhop__profile_instance__descriptor, "profile_name", 64, 0, NULL},
    {&simhop__profile_instance__descriptor, "nickname", 64, 0, NULL},
    {&simhop__profile_instance__descriptor, "icon", SH_BUNDLE_ICON_MAX, 0, check_picture},
    {&simhop__profile_instance__descriptor, "mcc", 3, 0, check_mcc},
    {&simhop__profile_instance__descriptor, "mnc", 3, 0, check_mnc},
    {&simhop__profile_instance__descriptor, "gid1", 64, 0, check_hex},
    {&simhop__profile_instance__descriptor, "relation", 0, 0, check_known},
    {&simhop__profile_instance__descriptor, "apns", 0, SH_BUNDLE_APNS_MAX, NULL},
    {&simhop__profile_instance__descriptor, "valid_from", 0, 0, check_time},
    {&simhop__profile_instance__descriptor, "valid_until", 0, 0, check_time},
    {&simhop__acquisition__descriptor, "method", 0, 0, check_known},
    {&simhop__acquisition__descriptor, "entitlement_url", 512, 0, check_https},
    {&simhop__acquisition__descriptor, "temporary_token", 2048, 0, NULL},
    {&simhop__acquisition__descriptor, "temporary_token_expiry", 0, 0, check_time},
    {&simhop__acquisition__descriptor, "reservation_id", 64, 0, NULL},
    {&simhop__apn__descriptor, "name", 64, 0, check_apn},
    {&simhop__apn__descriptor, "user", 128, 0, NULL},
    {&simhop__apn__descriptor, "password", 128, 0, NULL},
    {&simhop__apn__descriptor, "auth", 0, 0, check_known},
    {&simhop__apn__descriptor, "ip_type", 0, 0, check_known},
    {&simhop__apn__descriptor, "purposes", 0, 8, NULL},
    {&simhop__apn__descriptor, "mtu", 0, 0, check_mtu},
    {&simhop__apn__descriptor, "mmsc", 256, 0, check_http},
    {&simhop__carrier_policy__descriptor, "carrier", 64, 0, NULL},
    {&simhop__carrier_policy__descriptor, "mccmncs", 6, 64, check_mccmnc},
    {&simhop__carrier_policy__descriptor, "as_of", 10, 0, check_date},
    {&simhop__device_token__descriptor, "certificate", SH_CERT_MAX, 0, NULL},
    {&simhop__device_token__descriptor, "ca_certificate", SH_CERT_MAX, 0, NULL},
    {&simhop__device_token__descriptor, "serial", SH_SERIAL_SIZE, 0, NULL},
    {&simhop__device_token__descriptor, "not_before", 0, 0, check_time},
    {&simhop__device_token__descriptor, "not_after", 0, 0, check_time},
    {&simhop__device_token__descriptor, "renew_after", 0, 0, check_time},
    {&simhop__allocation_share__descriptor, "device_id", 16, 0, check_16},
    {&simhop__allocation_share__descriptor, "as_of", 0, 0, check_time},
    {&simhop__allocation_share__descriptor, "warning_percents", 0, 8, check_percent},
    {&simhop__allocation__descriptor, "pool", 64, 0, NULL},
    {&simhop__consent_record__descriptor, "time", 0, 0, check_time},
    {&simhop__consent_record__descriptor, "challenge", 64, 0, NULL},
};

static struct rule rule_of(const ProtobufCMessageDescriptor *schema,
                           const ProtobufCFieldDescriptor *field)
{
    struct rule rule = {.field = field->name};
    for (size_t i = 0; i < SH_COUNT(rules); i++) {
        if (sh_field_is(schema, field, rules[i].schema, rules[i].field))
            rule = rules[i];
    }
    rule.max = rule.max ? rule.max : SIZE_DEFAULT;
    rule.most = rule.most ? rule.most : LIST_DEFAULT;
    return rule;
}

static enum sh_cause check_message(const ProtobufCMessage *message, const char *path);

static enum sh_cause check_value(struct sh_value value, const struct rule *rule, const char *path)
{
    size_t size = 0;
    if (value.field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_message(sh_value_message(value), path);
    if (value.field->type == PROTOBUF_C_TYPE_STRING) {
        if (!sh_text_is_clean(sh_value_string(value), SIZE_MAX))
            return sh_fail(SH_BUNDLE_MALFORMED, "%s: not UTF-8, or a control character", path);
        size = strlen(sh_value_string(value));
    } else if (value.field->type == PROTOBUF_C_TYPE_BYTES) {
        size = sh_value_bytes(value).n;
    }
    if (size > rule->max)
        return sh_fail(SH_BUNDLE_MALFORMED, "%s: %zu octets, of at most %zu", path, size,
                       rule->max);
    const char *why = NULL;
    if (rule->check && !sh_value_is_empty(value))
        why = rule->check(value);
    if (why)
        return sh_fail(rule->check == check_known ? SH_BUNDLE_UNKNOWN_ENUM : SH_BUNDLE_MALFORMED,
                       "%s: %s", path, why);
    return SH_OK;
}

static enum sh_cause check_message(const ProtobufCMessage *message, const char *path)
{
    const ProtobufCMessageDescriptor *schema = message->descriptor;
    for (unsigned f = 0; f < schema->n_fields; f++) {
        const ProtobufCFieldDescriptor *field = &schema->fields[f];
        struct rule rule = rule_of(schema, field);
        char below[SH_PATH_MAX];
        size_t count = sh_value_count(message, field);
        if (count > rule.most) {
            sh_path(path, field, count - 1, below);
            return sh_fail(SH_BUNDLE_TOO_LARGE, "%s: at most %zu", below, rule.most);
        }
        for (size_t i = 0; i < count; i++) {
            sh_path(path, field, i, below);
            SH_TRY(check_value(sh_value_get(message, field, i), &rule, below));
        }
    }
    return SH_OK;
}

static bool is_said(const char *s)
{
    return s && s[0];
}

/* An activation code may come by several ways, but not with a line that needs none. */
static enum sh_cause check_acquisition(const Simhop__Acquisition *acquisition, size_t line)
{
    Simhop__AcquisitionMethod method = acquisition->method;
    if (!acquisition->activation_code) {
        if (method == SIMHOP__ACQUISITION_METHOD__ACQUISITION_ACTIVATION_CODE)
            return sh_fail(SH_BUNDLE_MALFORMED, "lines[%zu].acquisition.activation_code: missing",
                           line);
        return SH_OK;
    }
    if (method == SIMHOP__ACQUISITION_METHOD__ACQUISITION_UNSPECIFIED ||
        method == SIMHOP__ACQUISITION_METHOD__ACQUISITION_NOT_POSSIBLE)
        return sh_fail(SH_BUNDLE_MALFORMED,
                       "lines[%zu].acquisition.method: has an activation code but says no way to "
                       "use it",
                       line);
    struct sh_activation code;
    enum sh_cause cause = sh_activation_from_message(acquisition->activation_code, &code);
    if (cause != SH_OK)
        return sh_fail(cause, "lines[%zu].acquisition.activation_code: %s", line, sh_detail());
    sh_wipe(&code, sizeof(code));
    return SH_OK;
}

static enum sh_cause check_line(const Simhop__Bundle *bundle, size_t i)
{
    const Simhop__ProfileInstance *line = bundle->lines[i];
    if (is_said(line->mnc) && !is_said(line->mcc))
        return sh_fail(SH_BUNDLE_MALFORMED, "lines[%zu].mcc: missing beside mnc", i);
    if (line->valid_until && line->valid_until < line->valid_from)
        return sh_fail(SH_BUNDLE_MALFORMED, "lines[%zu].valid_until: before valid_from", i);
    for (size_t a = 0; a < line->n_apns; a++) {
        if (!is_said(line->apns[a]->name))
            return sh_fail(SH_BUNDLE_MALFORMED, "lines[%zu].apns[%zu].name: missing", i, a);
    }
    for (size_t other = 0; is_said(line->iccid) && other < i; other++) {
        if (strcmp(bundle->lines[other]->iccid, line->iccid) == 0)
            return sh_fail(SH_BUNDLE_MALFORMED, "lines[%zu].iccid: the same as lines[%zu]", i,
                           other);
    }
    if (!is_said(line->iccid) && !line->acquisition)
        return sh_fail(SH_BUNDLE_MALFORMED, "lines[%zu]: neither iccid nor acquisition", i);
    return line->acquisition ? check_acquisition(line->acquisition, i) : SH_OK;
}

/* What the anchor fills in comes all at once. */
static enum sh_cause check_issue(const Simhop__Bundle *bundle)
{
    if (!bundle->recipient) {
        if (bundle->revision || bundle->token || bundle->consent)
            return sh_fail(SH_BUNDLE_MALFORMED, "recipient: missing in an issued bundle");
        return SH_OK;
    }
    if (bundle->recipient->id.len != SH_DEVICE_ID_SIZE)
        return sh_fail(SH_BUNDLE_MALFORMED, "recipient.id: missing");
    if (bundle->id.len == 0)
        return sh_fail(SH_BUNDLE_MALFORMED, "id: missing in an issued bundle");
    if (bundle->revision == 0)
        return sh_fail(SH_BUNDLE_MALFORMED, "revision: missing in an issued bundle");
    if (bundle->issued == 0 || bundle->expiry <= bundle->issued)
        return sh_fail(SH_BUNDLE_MALFORMED, "expiry: missing, or not after issued");
    return SH_OK;
}

enum sh_cause sh_bundle_validate(const Simhop__Bundle *bundle)
{
    SH_TRY(check_message(&bundle->base, ""));
    for (size_t i = 0; i < bundle->n_lines; i++)
        SH_TRY(check_line(bundle, i));
    return check_issue(bundle);
}
