/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The advertisement (Bluetooth Core 5.4 vol 3 part C section 11, legacy advertising data, at most
 * 31 octets): flags, and service data under our 128-bit UUID with
 *     version and step (1) | PSM (1) | level at one metre, dBm (1, signed, 127 = unknown) | rotating id (7)
 * No name, no EID, nothing constant. The low five bits of the first octet are the version; the high three are
 * how much less than usual it is sent with, in steps of 4 dB. The level is that of the usual power. The PSM is a dynamic
 * one of LE, 0x80 to 0xFF (vol 3 part A section 4.22).
 */
#ifndef SIMHOP_PAIRING_ADVERT_H
#define SIMHOP_PAIRING_ADVERT_H

#include "crypto/keys.h"
#include "proto/cause.h"

#define SH_ADVERT_MAX           31
#define SH_ADVERT_VERSION       1
#define SH_ADVERT_UNKNOWN_POWER 127
#define SH_ADVERT_LOWER_MAX     16
#define SH_ROTATE_MS            (15 * 60 * 1000)

/* Little endian, as it stands in the AD structure; the text form is for BlueZ. */
extern const uint8_t sh_advert_uuid[16];
extern const char sh_advert_uuid_text[37];

struct sh_advert {
    uint8_t version;
    uint8_t psm;
    int8_t
        ref1m_dbm; /* what a receiver is expected to hear of it at one metre and the usual power */
    int8_t power_db; /* sent by so much more than usual: -SH_ADVERT_LOWER_MAX to 0, in steps of 4 */
    uint8_t id[SH_ROTATING_ID_SIZE];
};

#define SH_ADVERT_SERVICE_DATA (3 + SH_ROTATING_ID_SIZE)

/* The service data alone (BlueZ builds the rest), and the whole payload. Both always fit. */
void sh_advert_service_data(const struct sh_advert *advert, uint8_t out[SH_ADVERT_SERVICE_DATA]);
size_t sh_advert_encode(const struct sh_advert *advert, uint8_t out[SH_ADVERT_MAX]);

/* It is sent by so much more (db above 0) or less than it says: says that, as far as it can be said. */
void sh_advert_step(struct sh_advert *advert, int db);

/* Walks the AD structures of a received payload (at most 255 octets; extended advertising is longer
 * than 31) and takes the first of ours. Octets after the identifier are ignored, a level outside
 * -127 .. +20 dBm reads as unknown, a step below -SH_ADVERT_LOWER_MAX as that. Fails with proto.malformed (not ours, cut, or an impossible
 * PSM), proto.unknown-version (a version below 1; newer ones are taken). */
SH_MUST_USE enum sh_cause sh_advert_decode(struct sh_bytes payload, struct sh_advert *ret_advert);

/* The same for our service data alone, which is what BlueZ gives. */
SH_MUST_USE enum sh_cause sh_advert_decode_service_data(struct sh_bytes data,
                                                        struct sh_advert *ret_advert);

#endif
