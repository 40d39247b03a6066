/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile/activation_code.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/secret.h"
#include "profile/text.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

#define FIELDS_MAX 7 /* with the format */

static enum sh_cause bad(const char *field, const char *why)
{
    return sh_fail(SH_ACTIVATION_BAD_CODE, "%s: %s", field, why);
}

static bool only(const char *s, const char *set)
{
    return s[strspn(s, set)] == '\0';
}

/* RFC 1035 section 2.3.1: labels of letters, digits and inner hyphens (RFC 1123: a digit may come first). */
static bool is_host(const char *s, size_t n)
{
    if (n == 0 || n > 253)
        return false;
    size_t label = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i == n || s[i] == '.') {
            if (i == label || i - label > 63 || s[label] == '-' || s[i - 1] == '-')
                return false;
            label = i + 1;
        } else if (!strchr(DIGITS LETTERS "-", s[i])) {
            return false;
        }
    }
    return true;
}

static enum sh_cause check_address(const char *address)
{
    size_t host = strcspn(address, ":");
    if (!is_host(address, host))
        return bad("SM-DP+ address", "not a host name");
    if (address[host] == '\0')
        return SH_OK;
    const char *port = address + host + 1;
    if (!only(port, DIGITS) || strlen(port) < 1 || strlen(port) > 5 || port[0] == '0' ||
        strtoul(port, NULL, 10) > 65535)
        return bad("SM-DP+ address", "the port is not 1 to 65535");
    return SH_OK;
}

/* Dotted numbers: "1.3.6.1.4.1.31746". */
static bool is_oid(const char *s)
{
    if (!only(s, DIGITS ".") || !strchr(s, '.'))
        return false;
    return s[0] != '.' && s[strlen(s) - 1] != '.' && !strstr(s, "..");
}

static enum sh_cause check(const struct sh_activation *code)
{
    if (code->smdp_address[0])
        SH_TRY(check_address(code->smdp_address));
    else if (!code->matching_id[0])
        return bad("SM-DP+ address", "empty, and no matching id either");
    if (!only(code->matching_id, DIGITS LETTERS "-"))
        return bad("matching id", "a character that is no letter, digit or -");
    if (code->smdp_oid[0] && !is_oid(code->smdp_oid))
        return bad("SM-DP+ OID", "not dotted numbers");
    if (!only(code->ci_pk_indicator, DIGITS "abcdefABCDEF"))
        return bad("CI PK indicator", "not hexadecimal");
    if (!only(code->delete_notification, DIGITS LETTERS "+/=-"))
        return bad("delete notification", "a character that does not belong there");
    return SH_OK;
}

static enum sh_cause take(const char *name, const char *field, char *out, size_t size)
{
    if (!sh_strcopy(out, size, field))
        return bad(name, "too long");
    return SH_OK;
}

/* "1$address$..." is cut at its dollar signs in place. */
static enum sh_cause parse_fields(char *text, struct sh_activation *code)
{
    const char *fields[FIELDS_MAX] = {"", "", "", "", "", "", ""};
    size_t n = 0;
    for (char *rest = text; rest;) {
        if (n == FIELDS_MAX)
            return bad("activation code", "too many fields");
        fields[n++] = strsep(&rest, "$");
    }
    if (strcmp(fields[0], "1") != 0)
        return bad("format", "must be 1");
    if (n < 2)
        return bad("SM-DP+ address", "missing");
    SH_TRY(take("SM-DP+ address", fields[1], code->smdp_address, sizeof(code->smdp_address)));
    SH_TRY(take("matching id", fields[2], code->matching_id, sizeof(code->matching_id)));
    SH_TRY(take("SM-DP+ OID", fields[3], code->smdp_oid, sizeof(code->smdp_oid)));
    SH_TRY(
        take("CI PK indicator", fields[5], code->ci_pk_indicator, sizeof(code->ci_pk_indicator)));
    SH_TRY(take("delete notification", fields[6], code->delete_notification,
                sizeof(code->delete_notification)));
    /* The standard knows "1" or nothing; "0" is seen and means the same as nothing. */
    code->confirmation_code_required = strcmp(fields[4], "1") == 0;
    if (!code->confirmation_code_required && fields[4][0] && strcmp(fields[4], "0") != 0)
        return bad("confirmation code flag", "must be 1 or empty");
    return check(code);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)((at - digits) % 16) : -1;
}

/* RFC 3986 section 2.1, in place. */
static enum sh_cause percent_decode(char *s)
{
    char *out = s;
    for (; *s; s++) {
        if (*s != '%') {
            *out++ = *s;
            continue;
        }
        int high = hex_digit(s[1]);
        int low = high < 0 ? -1 : hex_digit(s[2]);
        if (low < 0 || high * 16 + low < 0x20)
            return bad("universal link", "a broken percent escape");
        *out++ = (char)(high * 16 + low);
        s += 2;
    }
    *out = '\0';
    return SH_OK;
}

/* The value of carddata= in the query of a universal link, "" if there is none, NULL if it is not such a link. */
static char *link_data(char *text)
{
    static const char *const links[] = {
        "https://esimsetup.apple.com/esim_qrcode_provisioning",
        "https://esimsetup.android.com/esim_qrcode_provisioning",
    };
    char *query = NULL;
    for (size_t i = 0; i < SH_COUNT(links); i++) {
        size_t n = strlen(links[i]);
        if (strncasecmp(text, links[i], n) == 0 && (text[n] == '?' || text[n] == '\0'))
            query = text + n;
    }
    if (!query)
        return NULL;
    if (*query == '?')
        query++;
    query[strcspn(query, "#")] = '\0';
    for (char *rest = query; rest;) {
        char *parameter = strsep(&rest, "&");
        if (strncmp(parameter, "carddata=", 9) == 0)
            return parameter + 9;
    }
    return query + strlen(query);
}

static enum sh_cause parse(char *text, struct sh_activation *code)
{
    char *data = link_data(text);
    if (data && !data[0])
        return bad("universal link", "no carddata in it");
    if (data)
        SH_TRY(percent_decode(data));
    else
        data = text;
    if (strncasecmp(data, "LPA:", 4) == 0)
        data += 4;
    return parse_fields(data, code);
}

enum sh_cause sh_activation_parse(const char *text, struct sh_activation *ret_code)
{
    if (strlen(text) > SH_ACTIVATION_MAX)
        return bad("activation code", "longer than 1024 octets");
    struct sh_activation code = {0};
    char copy[SH_ACTIVATION_MAX + 1];
    memcpy(copy, text, strlen(text) + 1);
    enum sh_cause cause = parse(copy, &code);
    if (cause == SH_OK)
        *ret_code = code;
    sh_wipe(copy, sizeof(copy));
    sh_wipe(&code, sizeof(code));
    return cause;
}

static bool is_terminated(const char *s, size_t size)
{
    return memchr(s, '\0', size) != NULL;
}

enum sh_cause sh_activation_format(const struct sh_activation *code, char **ret_text)
{
    if (!is_terminated(code->smdp_address, sizeof(code->smdp_address)) ||
        !is_terminated(code->matching_id, sizeof(code->matching_id)) ||
        !is_terminated(code->smdp_oid, sizeof(code->smdp_oid)) ||
        !is_terminated(code->ci_pk_indicator, sizeof(code->ci_pk_indicator)) ||
        !is_terminated(code->delete_notification, sizeof(code->delete_notification)))
        return bad("activation code", "a field without an end");
    SH_TRY(check(code));
    const char *fields[] = {code->smdp_address,    code->matching_id,
                            code->smdp_oid,        code->confirmation_code_required ? "1" : "",
                            code->ci_pk_indicator, code->delete_notification};
    size_t n = SH_COUNT(fields);
    while (n > 2 && !fields[n - 1][0])
        n--;
    struct sh_text text = {0};
    sh_text_add(&text, "LPA:1");
    for (size_t i = 0; i < n; i++) {
        sh_text_add(&text, "$");
        sh_text_add(&text, fields[i]);
    }
    if (text.n > SH_ACTIVATION_MAX) {
        sh_text_drop(&text);
        return bad("activation code", "longer than 1024 octets");
    }
    return sh_text_take(&text, ret_text);
}
