/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/sounding_parse.h"

#include <string.h>

#define HEAD 6 /* counter (2), sequence (2), transmit power of either side (1 each) */
#define SUBEVENT_HEAD                                                                              \
    19 /* ACL event (2), frequency (2), level (1), paths (1), abort (1), time (8), steps (4) */
#define SUBEVENT_PATHS 5
#define SUBEVENT_STEPS 15
#define MODE_0         5
#define MODE_1                                                                                     \
    16          /* quality, NADM, RSSI (1 each), times (2 each), antenna (1), two tones (4 each) */
#define TONE 5  /* I and Q (2 each), and behind all of them the quality (1 each) */
#define TAIL 46 /* how it was configured: 16 and 30 octets as documented; BlueZ sends 31 */

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static int16_t get_signed(const uint8_t *p)
{
    return (int16_t)get16(p);
}

/* n octets of it, or NULL and it is left as it was. */
static const uint8_t *take(struct sh_bytes *left, size_t n)
{
    const uint8_t *p = left->p;
    if (left->n < n)
        return NULL;
    *left = SH_BYTES(left->p + n, left->n - n);
    return p;
}

/* The extension slot has a tone too; more than four paths there are not. */
static size_t slots_of(uint8_t paths)
{
    return SH_MIN((size_t)paths + 1, (size_t)SH_SOUNDING_SLOTS);
}

/* ---- steps ---- */

static bool read_packet(struct sh_bytes *left, bool initiator, struct sh_sounding_side *side)
{
    const uint8_t *p = take(left, MODE_1);
    if (!p)
        return false;
    side->packet_quality = p[0];
    side->nadm = p[1];
    /* Both times have a place, each side fills its own. */
    side->time = get_signed(initiator ? p + 3 : p + 5);
    return true;
}

static bool read_tones(struct sh_bytes *left, uint8_t paths, struct sh_sounding_side *side)
{
    size_t slots = slots_of(paths);
    const uint8_t *p = take(left, 1 + TONE * slots);
    if (!p)
        return false;
    side->permutation = p[0];
    for (size_t k = 0; k < slots; k++) {
        side->tones[k].i = get_signed(p + 1 + 4 * k);
        side->tones[k].q = get_signed(p + 3 + 4 * k);
        side->tones[k].quality = p[1 + 4 * slots + k];
    }
    return true;
}

struct half {
    uint8_t mode, channel;
    struct sh_sounding_side side;
};

static bool read_step(struct sh_sounding_cursor *cursor, bool initiator, struct half *ret_half)
{
    const uint8_t *p = take(&cursor->left, 2);
    if (!p)
        return false;
    cursor->steps--;
    *ret_half = (struct half){.mode = p[0], .channel = p[1]};
    switch (ret_half->mode) {
    case 0:
        return take(&cursor->left, MODE_0) != NULL;
    case 1:
        return read_packet(&cursor->left, initiator, &ret_half->side);
    case 2:
        return read_tones(&cursor->left, cursor->paths, &ret_half->side);
    case 3:
        return read_packet(&cursor->left, initiator, &ret_half->side) &&
               read_tones(&cursor->left, cursor->paths, &ret_half->side);
    default:
        return false;
    }
}

/* ---- subevents ---- */

/* Passes over what is left of the current subevent and enters the next one. */
static bool enter_subevent(struct sh_sounding_cursor *cursor)
{
    struct half half;
    while (cursor->steps > 0) {
        if (!read_step(cursor, false, &half))
            return false;
    }
    const uint8_t *p = cursor->subevents > 0 ? take(&cursor->left, SUBEVENT_HEAD) : NULL;
    if (!p)
        return false;
    cursor->subevents--;
    cursor->paths = p[SUBEVENT_PATHS];
    cursor->steps = get32(p + SUBEVENT_STEPS);
    return true;
}

/* Where one side begins, and in *left what is behind it. */
static bool open_side(struct sh_bytes *left, struct sh_sounding_cursor *ret_cursor)
{
    const uint8_t *count = take(left, 4);
    if (!count)
        return false;
    struct sh_sounding_cursor cursor = {.left = *left, .subevents = get32(count)};
    *ret_cursor = cursor;
    while (cursor.subevents > 0) {
        if (!enter_subevent(&cursor))
            return false;
    }
    struct half half;
    while (cursor.steps > 0) {
        if (!read_step(&cursor, false, &half))
            return false;
    }
    *left = cursor.left;
    return take(left, 1) != NULL; /* why the procedure was aborted, if it was */
}

bool sh_sounding_reader_open(struct sh_bytes data, struct sh_sounding_reader *ret_reader)
{
    struct sh_sounding_reader reader = {.counter = 0};
    if (data.n > SH_SOUNDING_DATA_MAX)
        return false;
    const uint8_t *head = take(&data, HEAD);
    if (!head)
        return false;
    reader.counter = get16(head);
    if (!open_side(&data, &reader.initiator) || !open_side(&data, &reader.reflector) ||
        data.n < TAIL)
        return false;
    *ret_reader = reader;
    return true;
}

static bool is_pair(const struct sh_sounding_reader *reader, const struct half *a,
                    const struct half *b)
{
    bool channels = a->channel == b->channel || a->channel == 0 || b->channel == 0;
    return a->mode == b->mode && channels && reader->initiator.paths == reader->reflector.paths;
}

bool sh_sounding_reader_next(struct sh_sounding_reader *reader, struct sh_sounding_step *ret_step)
{
    struct half a, b;
    for (;;) {
        while (reader->initiator.steps == 0 || reader->reflector.steps == 0) {
            reader->unpaired += reader->initiator.steps + reader->reflector.steps;
            if (!enter_subevent(&reader->initiator) || !enter_subevent(&reader->reflector))
                return false;
        }
        if (!read_step(&reader->initiator, true, &a) || !read_step(&reader->reflector, false, &b))
            return false;
        if (is_pair(reader, &a, &b))
            break;
        reader->unpaired++;
    }
    *ret_step = (struct sh_sounding_step){.mode = a.mode,
                                          .channel = SH_MAX(a.channel, b.channel),
                                          .paths = reader->initiator.paths,
                                          .initiator = a.side,
                                          .reflector = b.side};
    return true;
}
