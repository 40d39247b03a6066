/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What parse takes, format gives back, and parse reads the same again. */
#include <stdlib.h>
#include <string.h>

#include "profile/activation_code.h"
#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void round_trip(const char *text)
{
    struct sh_activation code, again;
    char *formatted = NULL;
    memset(&code, 0, sizeof(code));
    if (sh_activation_parse(text, &code) != SH_OK)
        return;
    enum sh_cause cause = sh_activation_format(&code, &formatted);
    /* "LPA:" or the second "$", that a code may come without, can make it too long. */
    require(cause == SH_OK || strlen(text) > SH_ACTIVATION_MAX - 5);
    if (cause == SH_OK) {
        require(sh_text_is_clean(formatted, SIZE_MAX));
        require(sh_activation_parse(formatted, &again) == SH_OK);
        require(strcmp(code.smdp_address, again.smdp_address) == 0);
        require(strcmp(code.matching_id, again.matching_id) == 0);
        require(strcmp(code.smdp_oid, again.smdp_oid) == 0);
        require(strcmp(code.ci_pk_indicator, again.ci_pk_indicator) == 0);
        require(strcmp(code.delete_notification, again.delete_notification) == 0);
        require(code.confirmation_code_required == again.confirmation_code_required);
    }
    free(formatted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char eid[33] = "", imei[16] = "", iccid[21] = "", *qr = NULL;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    round_trip(text);
    if (sh_transfer_qr_parse(text, eid, imei) == SH_OK) {
        require(sh_transfer_qr_format(eid, imei, &qr) == SH_OK);
        free(qr);
    }
    if (sh_iccid_normalise(text, iccid))
        require(strlen(iccid) >= 18 && strlen(iccid) <= 20);
    if (sh_text_is_clean(text, SIZE_MAX))
        require(!strchr(text, 0x1b));
    free(text);
    return 0;
}
