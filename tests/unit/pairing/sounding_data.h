/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes procedures as bluetoothd does in ProcedureData (BlueZ's doc/org.bluez.ChannelSounding1.rst). */
#ifndef SIMHOP_TESTS_SOUNDING_DATA_H
#define SIMHOP_TESTS_SOUNDING_DATA_H

#include <assert.h>

#include "pairing/sounding_parse.h"
#include "sounding_synth.h"

struct sounding_data {
    uint8_t octets[SH_SOUNDING_DATA_MAX + 64];
    size_t n;
};

static inline void data_put(struct sounding_data *data, uint64_t value, unsigned octets)
{
    for (unsigned i = 0; i < octets; i++) {
        assert(data->n < sizeof(data->octets));
        data->octets[data->n++] = (uint8_t)(value >> (8 * i) & 0xff);
    }
}

static inline void data_head(struct sounding_data *data, uint16_t counter)
{
    data->n = 0;
    data_put(data, counter, 2);
    data_put(data, 1, 2);
    data_put(data, 10, 1);
    data_put(data, 10, 1);
}

static inline void data_subevent(struct sounding_data *data, uint8_t paths, uint32_t steps)
{
    data_put(data, 1200, 2);
    data_put(data, 0xc000, 2);
    data_put(data, 0xd0, 1);
    data_put(data, paths, 1);
    data_put(data, 0, 1);
    data_put(data, 0, 8);
    data_put(data, steps, 4);
}

static inline void data_packet(struct sounding_data *data, const struct sh_sounding_side *side,
                               bool initiator)
{
    data_put(data, side->packet_quality, 1);
    data_put(data, side->nadm, 1);
    data_put(data, 0xc8, 1);
    /* The time of the other side is not looked at. */
    data_put(data, (uint16_t)(initiator ? side->time : 0x1111), 2);
    data_put(data, (uint16_t)(initiator ? 0x2222 : side->time), 2);
    data_put(data, 1, 1);
    data_put(data, 0, 8);
}

static inline void data_step(struct sounding_data *data, const struct sh_sounding_step *step,
                             bool initiator, uint8_t channel)
{
    const struct sh_sounding_side *side = initiator ? &step->initiator : &step->reflector;
    size_t slots = step->paths < 4 ? step->paths + 1U : 5U;
    data_put(data, step->mode, 1);
    data_put(data, channel, 1);
    if (step->mode == 0)
        data_put(data, 0, 5);
    if (step->mode == 1 || step->mode == 3)
        data_packet(data, side, initiator);
    if (step->mode == 2 || step->mode == 3) {
        data_put(data, side->permutation, 1);
        for (size_t k = 0; k < slots; k++) {
            data_put(data, (uint16_t)side->tones[k].i, 2);
            data_put(data, (uint16_t)side->tones[k].q, 2);
        }
        for (size_t k = 0; k < slots; k++)
            data_put(data, side->tones[k].quality, 1);
    }
}

/* One side of a procedure, in subevents of at most so many steps. The reflector's have no channels. */
static inline void data_side(struct sounding_data *data, const struct sh_sounding_step *steps,
                             size_t n, bool initiator, size_t per_subevent)
{
    data_put(data, (n + per_subevent - 1) / per_subevent, 4);
    for (size_t i = 0; i < n; i++) {
        if (i % per_subevent == 0)
            data_subevent(data, steps[i].paths, (uint32_t)SH_MIN(per_subevent, n - i));
        data_step(data, &steps[i], initiator, initiator ? steps[i].channel : 0);
    }
    data_put(data, 0, 1);
}

static inline void data_tail(struct sounding_data *data)
{
    data_put(data, 1, 8);
    data_put(data, 2, 8);
    for (unsigned i = 0; i < 31; i++)
        data_put(data, i, 1);
}

static inline void data_of(struct sounding_data *data, const struct sh_sounding_step *steps,
                           size_t n)
{
    data_head(data, 7);
    data_side(data, steps, n, true, 40);
    data_side(data, steps, n, false, 40);
    data_tail(data);
}

#endif
