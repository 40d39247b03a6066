/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What goes through the sockets of a simulated air besides the bytes of a stream: datagrams with an
 * advertisement, and the first packet each way of a connection. All of it is foreign input; parsing
 * is bounded and touches nothing outside. No I/O.
 *
 *   advertisement  "sA" | version 2 (1) | channel 37..39 (1) | number (8, big endian) |
 *                  lowered by, dB, 0 to SH_SIM_LOWER_MAX (1) | name length (1) | name | payload (0 to 255, the rest)
 *   greeting       "sC" | version 1 (1) | PSM (1) | name (the rest), by the caller
 *   answer         "sO" | version 1 (1), taken; anything else, or the end: refused
 */
#ifndef SIMHOP_PAIRING_SIM_PACKET_H
#define SIMHOP_PAIRING_SIM_PACKET_H

#include "pairing/air_parse.h"

#define SH_SIM_ADVERT_MAX   (14 + SH_SIM_NAME_MAX + 255)
#define SH_SIM_GREETING_MAX (4 + SH_SIM_NAME_MAX)
#define SH_SIM_ANSWER_SIZE  3
#define SH_SIM_LOWER_MAX    60

struct sh_sim_advert {
    char name[SH_SIM_NAME_MAX + 1]; /* of the sender */
    unsigned channel;
    uint64_t number;
    int power_db;            /* relative to the usual one, -SH_SIM_LOWER_MAX to 0 */
    struct sh_bytes payload; /* points into the datagram */
};

struct sh_sim_greeting {
    char name[SH_SIM_NAME_MAX + 1]; /* of the caller */
    uint8_t psm;
};

/* The length written. payload.n is at most 255, names are good ones. */
size_t sh_sim_advert_write(const struct sh_sim_advert *advert, uint8_t out[SH_SIM_ADVERT_MAX]);
size_t sh_sim_greeting_write(const struct sh_sim_greeting *greeting,
                             uint8_t out[SH_SIM_GREETING_MAX]);
void sh_sim_answer_write(uint8_t out[SH_SIM_ANSWER_SIZE]);

SH_MUST_USE bool sh_sim_advert_read(struct sh_bytes bytes, struct sh_sim_advert *ret_advert);
SH_MUST_USE bool sh_sim_greeting_read(struct sh_bytes bytes, struct sh_sim_greeting *ret_greeting);
SH_MUST_USE bool sh_sim_answer_read(struct sh_bytes bytes);

#endif
