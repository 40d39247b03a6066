/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/code.h"

#include "crypto/secret.h"

#define CODES     1000000u
#define TYPED_MAX 64

enum sh_cause sh_code_new(struct sh_code *ret_code)
{
    /* The largest multiple of CODES that 32 bits hold; draws from there on would be biased. */
    const uint32_t limit = UINT32_MAX / CODES * CODES;
    uint32_t draw = 0;
    do {
        uint8_t octets[4];
        SH_TRY(sh_random(octets, sizeof(octets)));
        draw = (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 |
               octets[3];
        sh_wipe(octets, sizeof(octets));
    } while (draw >= limit);
    draw %= CODES;
    for (size_t i = SH_CODE_DIGITS; i-- > 0; draw /= 10)
        ret_code->digits[i] = (char)('0' + draw % 10);
    ret_code->digits[SH_CODE_DIGITS] = '\0';
    return SH_OK;
}

bool sh_code_parse(struct sh_bytes typed, struct sh_code *ret_code)
{
    struct sh_code code = {.digits = ""};
    size_t have = 0;
    bool ok = typed.n <= TYPED_MAX;
    if (ok && typed.n > 0 && typed.p[typed.n - 1] == '\n')
        typed.n--;
    if (ok && typed.n > 0 && typed.p[typed.n - 1] == '\r')
        typed.n--;
    for (size_t i = 0; ok && i < typed.n; i++) {
        uint8_t c = typed.p[i];
        if (c >= '0' && c <= '9' && have < SH_CODE_DIGITS)
            code.digits[have++] = (char)c;
        else
            ok = c == ' ' || c == '-';
    }
    ok = ok && have == SH_CODE_DIGITS;
    if (ok)
        *ret_code = code;
    sh_wipe(&code, sizeof(code));
    return ok;
}
