/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A bundle for a person: a heading, then some lines of text for each line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/secret.h"
#include "profile/activation_code.h"
#include "profile/bundle_json.h"
#include "profile/fields.h"
#include "profile/text.h"

enum sh_cause sh_bundle_code_text(const Simhop__ActivationCode *message, bool reveal,
                                  char **ret_text)
{
    struct sh_activation code;
    struct sh_text text = {0};
    SH_TRY(sh_activation_from_message(message, &code));
    enum sh_cause cause = SH_OK;
    if (reveal) {
        cause = sh_activation_format(&code, ret_text);
    } else {
        sh_text_addf(&text, "LPA:1$%s$%s", code.smdp_address,
                     code.matching_id[0] ? "(hidden)" : "");
        if (code.smdp_oid[0] || code.confirmation_code_required)
            sh_text_addf(&text, "$%s", code.smdp_oid);
        if (code.confirmation_code_required)
            sh_text_add(&text, "$1");
        cause = sh_text_take(&text, ret_text);
    }
    sh_wipe(&code, sizeof(code));
    return cause;
}

static void add_time(struct sh_text *text, const char *before, int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char out[64];
    if (seconds && gmtime_r(&t, &tm) && strftime(out, sizeof(out), "%Y-%m-%d %H:%M UTC", &tm))
        sh_text_addf(text, "%s%s", before, out);
}

static void add_hex(struct sh_text *text, ProtobufCBinaryData bytes)
{
    char hex[2 * 64 + 1];
    sh_hex(bytes.data, SH_MIN(bytes.len, 64), hex);
    sh_text_add(text, hex);
}

static const char *or_else(const char *s, const char *other)
{
    return s && s[0] ? s : other;
}

static void add_device(struct sh_text *text, const char *what, const Simhop__Device *device)
{
    sh_text_addf(text, "%s%s, id ", what, or_else(device->name, "without a name"));
    add_hex(text, device->id);
    if (device->eid && device->eid[0])
        sh_text_addf(text, ", EID %s", device->eid);
    sh_text_add(text, "\n");
}

static void add_heading(struct sh_text *text, const Simhop__Bundle *bundle)
{
    if (bundle->recipient)
        sh_text_addf(text, "Bundle, revision %" PRIu64, bundle->revision);
    else
        sh_text_add(text, "Bundle, a draft");
    add_time(text, bundle->recipient ? ", issued " : ", made ", bundle->issued);
    add_time(text, ", valid until ", bundle->expiry);
    sh_text_add(text, "\n");
    if (bundle->anchor)
        add_device(text, "From ", bundle->anchor);
    if (bundle->recipient)
        add_device(text, "For ", bundle->recipient);
}

/* The word for a value of a field, "" if nothing was said. */
static const char *word(const ProtobufCEnumDescriptor *schema, int value, char out[64])
{
    if (value == 0)
        return "";
    sh_enum_word(schema, value, out, 64);
    return out[0] ? out : "unknown";
}

static enum sh_cause add_acquisition(struct sh_text *text, const Simhop__Acquisition *a,
                                     bool reveal)
{
    char buffer[64];
    SH_CLEANUP(sh_free_secretp) char *code = NULL;
    const char *method = word(&simhop__acquisition_method__descriptor, (int)a->method, buffer);
    sh_text_addf(text, "  Profile: %s", or_else(method, "not said how"));
    if (a->activation_code) {
        SH_TRY(sh_bundle_code_text(a->activation_code, reveal, &code));
        sh_text_addf(text, ", %s", code);
    }
    if (a->confirmation_code_required ||
        (a->activation_code && a->activation_code->confirmation_code_required))
        sh_text_add(text, ", needs the carrier's confirmation code");
    if (a->single_use)
        sh_text_add(text, ", works once");
    if (a->entitlement_url && a->entitlement_url[0])
        sh_text_addf(text, ", %s", a->entitlement_url);
    if (a->temporary_token && a->temporary_token[0])
        sh_text_addf(text, ", token %s", reveal ? a->temporary_token : "(hidden)");
    if (a->app_hint && a->app_hint[0])
        sh_text_addf(text, ", app %s", a->app_hint);
    sh_text_add(text, "\n");
    return SH_OK;
}

static void add_apn(struct sh_text *text, const Simhop__Apn *apn, bool reveal)
{
    char buffer[64];
    sh_text_addf(text, "  APN %s", apn->name);
    const char *type = word(&simhop__ip_type__descriptor, (int)apn->ip_type, buffer);
    if (type[0])
        sh_text_addf(text, ", %s", type);
    for (size_t i = 0; i < apn->n_purposes; i++) {
        const char *purpose = word(&simhop__apn_purpose__descriptor, (int)apn->purposes[i], buffer);
        sh_text_addf(text, ", %s", or_else(purpose, "any use"));
    }
    if (apn->user && apn->user[0])
        sh_text_addf(text, ", user %s", apn->user);
    if (apn->password && apn->password[0])
        sh_text_addf(text, ", password %s", reveal ? apn->password : "(hidden)");
    if (apn->home_only)
        sh_text_add(text, ", not abroad");
    sh_text_add(text, "\n");
}

static enum sh_cause add_line(struct sh_text *text, const Simhop__ProfileInstance *line, size_t i,
                              bool reveal)
{
    char buffer[64];
    sh_text_addf(text, "Line %zu: %s", i + 1,
                 or_else(line->nickname, or_else(line->profile_name, "without a name")));
    if (line->provider_name && line->provider_name[0])
        sh_text_addf(text, " (%s)", line->provider_name);
    const char *relation = word(&simhop__relation__descriptor, (int)line->relation, buffer);
    if (relation[0])
        sh_text_addf(text, ", %s", relation);
    sh_text_addf(text, "\n  ICCID %s", or_else(line->iccid, "not known yet"));
    if (line->mcc && line->mcc[0])
        sh_text_addf(text, ", network %s-%s", line->mcc, or_else(line->mnc, "?"));
    add_time(text, ", valid until ", line->valid_until);
    sh_text_add(text, "\n");
    if (line->acquisition)
        SH_TRY(add_acquisition(text, line->acquisition, reveal));
    for (size_t a = 0; a < line->n_apns; a++)
        add_apn(text, line->apns[a], reveal);
    return SH_OK;
}

enum sh_cause sh_bundle_to_text(const Simhop__Bundle *bundle, bool reveal, char **ret_text)
{
    struct sh_text text = {0};
    add_heading(&text, bundle);
    for (size_t i = 0; i < bundle->n_lines; i++) {
        enum sh_cause cause = add_line(&text, bundle->lines[i], i, reveal);
        if (cause != SH_OK) {
            sh_text_drop(&text);
            return cause;
        }
    }
    return sh_text_take(&text, ret_text);
}
