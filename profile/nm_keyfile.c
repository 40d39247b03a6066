/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile/nm_keyfile.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "crypto/identity.h"
#include "crypto/secret.h"
#include "profile/activation_code.h"
#include "profile/text.h"

/* Of this program alone (RFC 9562 section 6.6): 3a4f5bd6-6a0e-4b4c-9a55-0d2f7c1e8b21. */
static const uint8_t name_space[16] = {0x3a, 0x4f, 0x5b, 0xd6, 0x6a, 0x0e, 0x4b, 0x4c,
                                       0x9a, 0x55, 0x0d, 0x2f, 0x7c, 0x1e, 0x8b, 0x21};

#define MARK "org.simhop.anchor="

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static bool has_purpose(const Simhop__Apn *apn)
{
    bool said = false;
    for (size_t i = 0; i < apn->n_purposes; i++) {
        if (apn->purposes[i] == SIMHOP__APN_PURPOSE__APN_PURPOSE_INTERNET)
            return true;
        /* One that we do not know was said as well, and is not the internet. */
        said = said || apn->purposes[i] != SIMHOP__APN_PURPOSE__APN_PURPOSE_UNSPECIFIED;
    }
    return !said;
}

bool sh_nm_is_wanted(const Simhop__ProfileInstance *line, const Simhop__Apn *apn)
{
    if (!or_empty(line->iccid)[0] || line->relation == SIMHOP__RELATION__RELATION_INFORMATION)
        return false;
    if (line->acquisition &&
        line->acquisition->method == SIMHOP__ACQUISITION_METHOD__ACQUISITION_NOT_POSSIBLE)
        return false;
    return has_purpose(apn);
}

static bool is_first(const Simhop__ProfileInstance *line, const Simhop__Apn *apn)
{
    for (size_t i = 0; i < line->n_apns && line->apns[i] != apn; i++) {
        if (sh_nm_is_wanted(line, line->apns[i]))
            return false;
    }
    return true;
}

/* A name may have been said for each of several users of one APN; they are different connections. */
static enum sh_cause derive_uuid(const uint8_t *anchor, const Simhop__ProfileInstance *line,
                                 const Simhop__Apn *apn, char out[37])
{
    char name[512], hex[2 * SH_DEVICE_ID_SIZE + 1], all[33];
    uint8_t input[sizeof(name_space) + sizeof(name)], hash[EVP_MAX_MD_SIZE];
    sh_hex(anchor, SH_DEVICE_ID_SIZE, hex);
    int n = snprintf(name, sizeof(name), "%s %s %s %d %s", hex, line->iccid, apn->name,
                     (int)apn->ip_type, or_empty(apn->user));
    if (n < 0 || (size_t)n >= sizeof(name))
        return sh_fail(SH_INSTALL_REFUSED, "APN: name or user too long");
    memcpy(input, name_space, sizeof(name_space));
    memcpy(input + sizeof(name_space), name, (size_t)n);
    if (!EVP_Q_digest(NULL, "SHA1", NULL, input, sizeof(name_space) + (size_t)n, hash, NULL))
        return sh_fail(SH_ENV_CRYPTO, "SHA-1 for a connection's uuid");
    hash[6] = (uint8_t)((hash[6] & 0x0f) | 0x50);
    hash[8] = (uint8_t)((hash[8] & 0x3f) | 0x80);
    sh_hex(hash, 16, all);
    snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", all, all + 8, all + 12, all + 16, all + 20);
    return SH_OK;
}

static void add_value(struct sh_text *text, const char *key, const char *value)
{
    size_t n = strlen(value);
    sh_text_addf(text, "%s=", key);
    for (size_t i = 0; i < n; i++) {
        if (value[i] == '\\')
            sh_text_add(text, "\\\\");
        else if (value[i] == '\n')
            sh_text_add(text, "\\n");
        else if (value[i] == '\r')
            sh_text_add(text, "\\r");
        else if (value[i] == '\t')
            sh_text_add(text, "\\t");
        else if (value[i] == ' ' && (i == 0 || i == n - 1))
            sh_text_add(text, "\\s");
        else
            sh_text_add_n(text, value + i, 1);
    }
    sh_text_add(text, "\n");
}

static void add_connection(struct sh_text *text, const Simhop__ProfileInstance *line,
                           const Simhop__Apn *apn, const char *uuid)
{
    char id[256];
    const char *shown = or_empty(line->nickname);
    if (!shown[0])
        shown = or_empty(line->profile_name);
    if (!shown[0])
        shown = or_empty(line->provider_name);
    if (!shown[0])
        shown = line->iccid;
    snprintf(id, sizeof(id), "simhop %s (%s)", shown, apn->name);
    sh_text_add(text, "[connection]\n");
    add_value(text, "id", id);
    add_value(text, "uuid", uuid);
    sh_text_add(text, "type=gsm\n");
    if (!is_first(line, apn))
        sh_text_add(text, "autoconnect=false\n");
}

static void add_gsm(struct sh_text *text, const Simhop__ProfileInstance *line,
                    const Simhop__Apn *apn)
{
    sh_text_add(text, "\n[gsm]\n");
    add_value(text, "apn", apn->name);
    if (apn->home_only)
        sh_text_add(text, "home-only=true\n");
    if (apn->mtu)
        sh_text_addf(text, "mtu=%u\n", (unsigned)apn->mtu);
    if (or_empty(apn->user)[0])
        add_value(text, "username", apn->user);
    if (or_empty(apn->password)[0])
        add_value(text, "password", apn->password);
    else if (or_empty(apn->user)[0])
        sh_text_add(text, "password-flags=4\n"); /* not required: nobody is asked for one */
    add_value(text, "sim-id", line->iccid);
}

/* NetworkManager hands ModemManager those kinds of authentication that [ppp] does not refuse. */
static enum sh_cause add_auth(struct sh_text *text, Simhop__ApnAuth auth)
{
    bool pap = false, chap = false;
    switch ((int)auth) {
    case SIMHOP__APN_AUTH__APN_AUTH_UNSPECIFIED:
        return SH_OK;
    case SIMHOP__APN_AUTH__APN_AUTH_NONE:
        break;
    case SIMHOP__APN_AUTH__APN_AUTH_PAP:
        pap = true;
        break;
    case SIMHOP__APN_AUTH__APN_AUTH_CHAP:
        chap = true;
        break;
    case SIMHOP__APN_AUTH__APN_AUTH_PAP_OR_CHAP:
        pap = chap = true;
        break;
    default:
        return sh_fail(SH_INSTALL_REFUSED, "APN: auth of a kind that this version does not know");
    }
    sh_text_addf(text, "\n[ppp]\n%s%srefuse-eap=true\nrefuse-mschap=true\nrefuse-mschapv2=true\n",
                 pap ? "" : "refuse-pap=true\n", chap ? "" : "refuse-chap=true\n");
    return SH_OK;
}

static enum sh_cause add_ip(struct sh_text *text, Simhop__IpType type)
{
    bool four = true, six = true;
    switch ((int)type) {
    case SIMHOP__IP_TYPE__IP_TYPE_UNSPECIFIED:
    case SIMHOP__IP_TYPE__IP_TYPE_IPV4V6:
        break;
    case SIMHOP__IP_TYPE__IP_TYPE_IPV4:
        six = false;
        break;
    case SIMHOP__IP_TYPE__IP_TYPE_IPV6:
        four = false;
        break;
    default:
        return sh_fail(SH_INSTALL_REFUSED,
                       "APN: ip_type of a kind that this version does not know");
    }
    sh_text_addf(text, "\n[ipv4]\nmethod=%s\n", four ? "auto" : "disabled");
    sh_text_addf(text, "\n[ipv6]\nmethod=%s\n", six ? "auto" : "disabled");
    return SH_OK;
}

static bool mark(const Simhop__Bundle *bundle, char out[2 * SH_DEVICE_ID_SIZE + 1])
{
    if (!bundle->anchor || bundle->anchor->id.len != SH_DEVICE_ID_SIZE)
        return false;
    sh_hex(bundle->anchor->id.data, SH_DEVICE_ID_SIZE, out);
    return true;
}

enum sh_cause sh_nm_keyfile(const Simhop__Bundle *bundle, const Simhop__ProfileInstance *line,
                            const Simhop__Apn *apn, char **ret_text)
{
    char uuid[37], anchor[2 * SH_DEVICE_ID_SIZE + 1], iccid[21];
    struct sh_text text = {0};
    if (!mark(bundle, anchor))
        return sh_fail(SH_INSTALL_REFUSED, "anchor: no id");
    if (!sh_iccid_normalise(or_empty(line->iccid), iccid) || strcmp(iccid, line->iccid) != 0)
        return sh_fail(SH_INSTALL_REFUSED, "line: no ICCID to bind the connection to");
    if (!or_empty(apn->name)[0])
        return sh_fail(SH_INSTALL_REFUSED, "APN: no name");
    SH_TRY(derive_uuid(bundle->anchor->id.data, line, apn, uuid));
    add_connection(&text, line, apn, uuid);
    add_gsm(&text, line, apn);
    enum sh_cause cause = add_auth(&text, apn->auth);
    if (cause == SH_OK)
        cause = add_ip(&text, apn->ip_type);
    sh_text_addf(&text, "\n[user]\n" MARK "%s\n", anchor);
    if (cause != SH_OK) {
        sh_text_drop(&text);
        return cause;
    }
    return sh_text_take(&text, ret_text);
}

/* A whole line of the text, so that no value can look like it. */
static bool has_line(const char *text, const char *wanted)
{
    size_t n = strlen(wanted);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, wanted, n) == 0 && (line[n] == '\n' || line[n] == '\0'))
            return true;
    }
    return false;
}

bool sh_nm_is_ours(const char *text, const Simhop__Bundle *bundle,
                   const Simhop__ProfileInstance *line)
{
    char anchor[2 * SH_DEVICE_ID_SIZE + 1], wanted[128];
    if (!mark(bundle, anchor))
        return false;
    snprintf(wanted, sizeof(wanted), MARK "%s", anchor);
    if (!has_line(text, wanted))
        return false;
    snprintf(wanted, sizeof(wanted), "sim-id=%s", or_empty(line->iccid));
    return has_line(text, wanted);
}

bool sh_nm_keyfile_name(const Simhop__ProfileInstance *line, unsigned n, char *out, size_t out_size)
{
    int length = snprintf(out, out_size, "simhop-%s-%u.nmconnection", or_empty(line->iccid), n);
    return length > 0 && (size_t)length < out_size;
}
