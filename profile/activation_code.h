/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Activation codes (GSMA SGP.22 v3 section 4.1), both ways. Taken: "LPA:1$..." in any letter case, "1$..."
 * without the prefix, and the universal links https://esimsetup.apple.com/esim_qrcode_provisioning?carddata=
 * and https://esimsetup.android.com/esim_qrcode_provisioning?carddata= (percent-encoded or not). Given:
 * "LPA:1$..." with inner empty fields kept and trailing ones dropped, but always with the "$" of the matching
 * id. The last field is the old eUICC's delete notification itself, not a flag; it is kept as it is.
 *
 *   1 $ SM-DP+ address $ matching id [$ SM-DP+ OID [$ 1 if a confirmation code is needed
 *     [$ CI PK indicator [$ delete notification for device change]]]]
 */
#ifndef SIMHOP_PROFILE_ACTIVATION_CODE_H
#define SIMHOP_PROFILE_ACTIVATION_CODE_H

#include "proto/base.h"
#include "proto/cause.h"

#define SH_ACTIVATION_MAX 1024 /* octets of a code as text; longer ones are refused */

struct sh_activation {
    char smdp_address[256]; /* FQDN (RFC 1035 names), optionally ":port"; "" = default SM-DP+ */
    char matching_id[256];  /* [0-9A-Za-z-]*; address and matching id are not both empty */
    char smdp_oid[128];     /* dotted numbers or "" */
    bool confirmation_code_required;
    char ci_pk_indicator[128];                   /* hexadecimal or "" */
    char delete_notification[SH_ACTIVATION_MAX]; /* [0-9A-Za-z+/=-]* */
};

/* Fails with activation.bad-code; the detail names the field and what is wrong, never its value. The struct
 * holds a secret (the matching id): the caller wipes it. */
SH_MUST_USE enum sh_cause sh_activation_parse(const char *text, struct sh_activation *ret_code);

/* *ret_text is malloc'ed, freed with sh_free_secret (text.h); parse gives the same struct back. Fails with activation.bad-code (a field that
 * parse would refuse), env.no-memory. */
SH_MUST_USE enum sh_cause sh_activation_format(const struct sh_activation *code, char **ret_text);

/* The QR that a new device shows for TS.43 v12 section 6.8: "esim:transfer?eid=<32>&imei=<15>".
 * EID: 32 digits, mod 97 = 1 (SGP.02 section 2.2.2); IMEI: 15 digits with a right check digit (3GPP TS 23.003).
 * Fails with activation.bad-code. */
SH_MUST_USE enum sh_cause sh_transfer_qr_parse(const char *text, char eid[33], char imei[16]);
SH_MUST_USE enum sh_cause sh_transfer_qr_format(const char *eid, const char *imei, char **ret_text);

/* Identifiers: 18 to 20 digits after F padding is stripped into ret_iccid (ITU-T E.118); 32 digits with the right
 * remainder; 15 digits. */
SH_MUST_USE bool sh_iccid_normalise(const char *text, char ret_iccid[21]);
SH_MUST_USE bool sh_eid_is_valid(const char *text);
SH_MUST_USE bool sh_imei_is_valid(const char *text);

#endif
