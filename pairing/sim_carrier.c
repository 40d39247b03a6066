/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/sim_carrier.h"

#include <math.h>

#define QUANTUM_MIN 16
#define BURST_PARTS 20 /* a twentieth of a second of the rate may go at once */

enum sh_cause sh_sim_carrier_init(struct sh_sim_carrier *carrier, uint64_t chance)
{
    *carrier = (struct sh_sim_carrier){.chance = chance, .clear = true};
    carrier->queue = evbuffer_new();
    return carrier->queue ? SH_OK : SH_ENV_NO_MEMORY;
}

void sh_sim_carrier_clear(struct sh_sim_carrier *carrier)
{
    if (carrier->queue)
        evbuffer_free(carrier->queue);
    carrier->queue = NULL;
}

bool sh_sim_chance(uint64_t *state, double p)
{
    *state = sh_air_hash(*state, 1);
    return (double)(*state >> 11) / 9007199254740992.0 < p; /* 53 bits */
}

/* How much of the next bytes belongs together, at most n: those of one frame, or of its header as
 * far as it is there. Ends the following of frames at what is none. */
static size_t frame_part(struct sh_sim_carrier *carrier, size_t n)
{
    if (!carrier->clear)
        return n;
    if (carrier->frame_size == 0) {
        size_t missing = SH_FRAME_HEADER - carrier->header_n;
        ev_ssize_t got =
            evbuffer_copyout(carrier->queue, carrier->header + carrier->header_n, missing);
        const struct sh_msg_info *info = sh_msg_info(carrier->header[0]);
        if (got <= 0 || !info || !info->clear) {
            carrier->clear = false;
            return n;
        }
        if ((size_t)got < missing)
            return SH_MIN(n, (size_t)got);
        const uint8_t *h = carrier->header;
        size_t payload = (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
        if (payload > info->cap) {
            carrier->clear = false;
            return n;
        }
        carrier->frame_size = SH_FRAME_HEADER + payload;
    }
    return (size_t)SH_MIN((uint64_t)n, carrier->frame_size - carrier->frame_at);
}

/* n octets that frame_part allowed were taken. */
static void frame_taken(struct sh_sim_carrier *carrier, size_t n)
{
    if (!carrier->clear)
        return;
    carrier->frame_at += n;
    carrier->header_n = (size_t)SH_MIN(carrier->frame_at, (uint64_t)SH_FRAME_HEADER);
    if (carrier->frame_size == 0 || carrier->frame_at < carrier->frame_size)
        return;
    carrier->clear = carrier->header[0] != SH_MSG_PAKE_DONE;
    carrier->frame_at = carrier->frame_size = carrier->header_n = 0;
}

/* At most n, so that a fault `after` octets begins with a chunk of its own. */
static size_t up_to(size_t n, bool on, uint64_t after, uint64_t at)
{
    return on && at < after ? (size_t)SH_MIN((uint64_t)n, after - at) : n;
}

/* Whether the rate lets n octets go; at low rates less than n. */
static bool rate_allows(struct sh_sim_carrier *carrier, uint64_t rate, sh_ms now, size_t *n,
                        uint64_t *ret_wait_ms)
{
    if (rate == 0)
        return true;
    double burst = fmax((double)rate / BURST_PARTS, QUANTUM_MIN);
    sh_ms elapsed = now > carrier->tokens_at ? now - carrier->tokens_at : 0;
    carrier->tokens = fmin(carrier->tokens + (double)elapsed * (double)rate / 1000.0, burst);
    carrier->tokens_at = now;
    if (burst < (double)*n)
        *n = (size_t)burst;
    if (carrier->tokens >= (double)*n) {
        carrier->tokens -= (double)*n;
        return true;
    }
    *ret_wait_ms = (uint64_t)ceil(((double)*n - carrier->tokens) * 1000.0 / (double)rate);
    return false;
}

enum sh_sim_step sh_sim_carrier_step(struct sh_sim_carrier *carrier,
                                     const struct sh_air_files *files, sh_ms now,
                                     struct sh_sim_chunk *ret_chunk)
{
    struct sh_fault ble = sh_air_files_fault(files, SH_FAULT_BLE);
    if (ble.cut && carrier->sent >= ble.cut_after)
        return SH_SIM_CUT;
    size_t n = SH_MIN(evbuffer_get_length(carrier->queue), (size_t)SH_SIM_CHUNK);
    if (n == 0)
        return SH_SIM_IDLE;
    n = frame_part(carrier, n);
    struct sh_fault message = {0};
    if (carrier->clear)
        message = sh_air_files_message_fault(files, carrier->header[0]);
    uint64_t at = carrier->frame_at;
    if (message.cut && at >= message.cut_after)
        return SH_SIM_CUT;
    n = up_to(n, ble.cut, ble.cut_after, carrier->sent);
    n = up_to(n, ble.blackhole, ble.blackhole_after, carrier->sent);
    n = up_to(n, message.cut, message.cut_after, at);
    n = up_to(n, message.blackhole, message.blackhole_after, at);
    uint64_t rate = ble.rate ? ble.rate : sh_air_files_air(files)->ble_rate;
    if (!rate_allows(carrier, rate, now, &n, &ret_chunk->wait_ms))
        return SH_SIM_WAIT;
    if (carrier->clear && at == 0)
        carrier->frame_lost = sh_sim_chance(&carrier->chance, message.drop);
    evbuffer_remove(carrier->queue, ret_chunk->bytes, n);
    ret_chunk->n = n;
    ret_chunk->delay_ms = ble.delay_ms + message.delay_ms;
    ret_chunk->lost = (ble.blackhole && carrier->sent >= ble.blackhole_after) ||
                      (message.blackhole && at >= message.blackhole_after) ||
                      (carrier->clear && carrier->frame_lost) ||
                      sh_sim_chance(&carrier->chance, ble.drop);
    carrier->sent += n;
    frame_taken(carrier, n);
    return SH_SIM_TAKEN;
}
