/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/advert.h"

#include <string.h>

/* Assigned Numbers, section 2.3 "Common Data Types". */
#define AD_FLAGS            0x01
#define AD_SERVICE_DATA_128 0x21

/* LE General Discoverable, BR/EDR not supported. */
#define FLAGS 0x06

#define FLAGS_SIZE   3
#define SERVICE_SIZE (2 + 16 + SH_ADVERT_SERVICE_DATA)
_Static_assert(FLAGS_SIZE + SERVICE_SIZE <= SH_ADVERT_MAX, "legacy advertising data is full");

#define PAYLOAD_MAX 255 /* what one HCI report can hold */
#define PSM_MIN     0x80

const uint8_t sh_advert_uuid[16] = {0x72, 0xa5, 0xfb, 0xea, 0xb4, 0xbc, 0x6a, 0x9a,
                                    0x7f, 0x41, 0xaa, 0x34, 0xf8, 0x1f, 0x4d, 0x12};
const char sh_advert_uuid_text[37] = "124d1ff8-34aa-417f-9a6a-bcb4eafba572";

#define LEVEL_MIN    (-127)
#define LEVEL_MAX    20
#define VERSION_BITS 5
#define STEP_DB      4

void sh_advert_step(struct sh_advert *advert, int db)
{
    int power = advert->power_db + db / STEP_DB * STEP_DB;
    advert->power_db = (int8_t)SH_MAX(-SH_ADVERT_LOWER_MAX, SH_MIN(power, 0));
}

void sh_advert_service_data(const struct sh_advert *advert, uint8_t out[SH_ADVERT_SERVICE_DATA])
{
    out[0] = (uint8_t)(advert->version | -advert->power_db / STEP_DB << VERSION_BITS);
    out[1] = advert->psm;
    out[2] = (uint8_t)advert->ref1m_dbm;
    memcpy(out + 3, advert->id, sizeof(advert->id));
}

size_t sh_advert_encode(const struct sh_advert *advert, uint8_t out[SH_ADVERT_MAX])
{
    uint8_t *p = out;
    *p++ = FLAGS_SIZE - 1;
    *p++ = AD_FLAGS;
    *p++ = FLAGS;
    *p++ = SERVICE_SIZE - 1;
    *p++ = AD_SERVICE_DATA_128;
    memcpy(p, sh_advert_uuid, sizeof(sh_advert_uuid));
    p += sizeof(sh_advert_uuid);
    sh_advert_service_data(advert, p);
    p += SH_ADVERT_SERVICE_DATA;
    return (size_t)(p - out);
}

enum sh_cause sh_advert_decode_service_data(struct sh_bytes data, struct sh_advert *ret_advert)
{
    if (data.n < SH_ADVERT_SERVICE_DATA)
        return SH_PROTO_MALFORMED;
    uint8_t version = data.p[0] & ((1U << VERSION_BITS) - 1);
    if (version < SH_ADVERT_VERSION)
        return SH_PROTO_UNKNOWN_VERSION;
    if (data.p[1] < PSM_MIN)
        return SH_PROTO_MALFORMED;
    struct sh_advert advert = {.version = version, .psm = data.p[1]};
    int power = data.p[2] < 128 ? data.p[2] : data.p[2] - 256;
    /* The range of a level in HCI; anything else says nothing. */
    bool known = power >= LEVEL_MIN && power <= LEVEL_MAX;
    advert.ref1m_dbm = (int8_t)(known ? power : SH_ADVERT_UNKNOWN_POWER);
    sh_advert_step(&advert, -STEP_DB * (data.p[0] >> VERSION_BITS));
    memcpy(advert.id, data.p + 3, sizeof(advert.id));
    *ret_advert = advert;
    return SH_OK;
}

enum sh_cause sh_advert_decode(struct sh_bytes payload, struct sh_advert *ret_advert)
{
    if (payload.n > PAYLOAD_MAX)
        return SH_PROTO_MALFORMED;
    /* A structure is its length, then that many octets of which the first is the type. A length of
     * 0 ends the data early (Core vol 3 part C section 11). */
    for (size_t at = 0; at < payload.n && payload.p[at] != 0;) {
        const uint8_t *data = payload.p + at + 1;
        size_t n = payload.p[at];
        if (n > payload.n - at - 1)
            return SH_PROTO_MALFORMED;
        if (data[0] == AD_SERVICE_DATA_128 && n >= 1 + sizeof(sh_advert_uuid) &&
            memcmp(data + 1, sh_advert_uuid, sizeof(sh_advert_uuid)) == 0) {
            size_t head = 1 + sizeof(sh_advert_uuid);
            return sh_advert_decode_service_data(SH_BYTES(data + head, n - head), ret_advert);
        }
        at += 1 + n;
    }
    return SH_PROTO_MALFORMED;
}
