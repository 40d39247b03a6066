/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The numbers of cards and devices, and the QR code that shows them; see activation_code.h. */
#include <string.h>
#include <strings.h>

#include "profile/activation_code.h"
#include "profile/text.h"

static bool is_digits(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789") == n;
}

bool sh_iccid_normalise(const char *text, char ret_iccid[21])
{
    size_t n = strlen(text);
    if (n > 20) /* ten octets of two digits are all that a card has */
        return false;
    while (n > 0 && (text[n - 1] == 'F' || text[n - 1] == 'f'))
        n--;
    if (n < 18 || strspn(text, "0123456789") != n)
        return false;
    memcpy(ret_iccid, text, n);
    ret_iccid[n] = '\0';
    return true;
}

bool sh_eid_is_valid(const char *text)
{
    if (!is_digits(text, 32))
        return false;
    unsigned remainder = 0;
    for (size_t i = 0; i < 32; i++)
        remainder = (remainder * 10 + (unsigned)(text[i] - '0')) % 97;
    return remainder == 1;
}

bool sh_imei_is_valid(const char *text)
{
    if (!is_digits(text, 15))
        return false;
    unsigned sum = 0;
    for (size_t i = 0; i < 15; i++) {
        unsigned digit = (unsigned)(text[i] - '0') * (1 + i % 2);
        sum += digit / 10 + digit % 10;
    }
    return sum % 10 == 0;
}

#define PREFIX "esim:transfer?eid="
#define MIDDLE "&imei="

enum sh_cause sh_transfer_qr_parse(const char *text, char eid[33], char imei[16])
{
    char new_eid[33] = "", new_imei[16] = "";
    size_t prefix = strlen(PREFIX), middle = strlen(MIDDLE);
    if (strlen(text) != prefix + 32 + middle + 15 || strncasecmp(text, PREFIX, prefix) != 0 ||
        strncasecmp(text + prefix + 32, MIDDLE, middle) != 0)
        return sh_fail(SH_ACTIVATION_BAD_CODE, "not a transfer code of a new device");
    memcpy(new_eid, text + prefix, 32);
    memcpy(new_imei, text + prefix + 32 + middle, 15);
    if (!sh_eid_is_valid(new_eid))
        return sh_fail(SH_ACTIVATION_BAD_CODE, "EID: not 32 digits with a right remainder");
    if (!sh_imei_is_valid(new_imei))
        return sh_fail(SH_ACTIVATION_BAD_CODE, "IMEI: not 15 digits with a right check digit");
    memcpy(eid, new_eid, sizeof(new_eid));
    memcpy(imei, new_imei, sizeof(new_imei));
    return SH_OK;
}

enum sh_cause sh_transfer_qr_format(const char *eid, const char *imei, char **ret_text)
{
    if (!sh_eid_is_valid(eid))
        return sh_fail(SH_ACTIVATION_BAD_CODE, "EID: not 32 digits with a right remainder");
    if (!sh_imei_is_valid(imei))
        return sh_fail(SH_ACTIVATION_BAD_CODE, "IMEI: not 15 digits with a right check digit");
    struct sh_text text = {0};
    sh_text_addf(&text, PREFIX "%s" MIDDLE "%s", eid, imei);
    return sh_text_take(&text, ret_text);
}
