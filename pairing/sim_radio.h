/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two halves of the simulated radio share: the radio (ble_sim.c) and its streams
 * (sim_stream.c).
 *
 * Whoever is called from here may close the stream or free the radio that called. So every handler
 * of the loop runs between enter and leave: only the outermost leave frees what became unused
 * meanwhile.
 */
#ifndef SIMHOP_PAIRING_SIM_RADIO_H
#define SIMHOP_PAIRING_SIM_RADIO_H

#include <event2/event.h>

#include "pairing/ble_sim.h"
#include "pairing/sim_carrier.h"
#include "pairing/sim_packet.h"
#include "pairing/sim_socket.h"

struct sh_sim_radio {
    struct sh_ble ble;
    struct event_base *base;
    struct sh_air_files *files;
    char name[SH_SIM_NAME_MAX + 1];
    int dir;
    struct sh_sim_bound bound[2];
    struct event *listening, *hearing, *watch, *advert;
    bool advertising;
    uint8_t payload[255];
    size_t payload_len;
    int power_db;
    uint64_t advert_number;
    uint64_t chance;
    uint64_t streams_made;
    struct sh_sim_stream *streams;
    unsigned depth; /* handlers that run now */
    bool freed;
};

/* The order of a stream's life. */
enum sh_sim_state {
    SH_SIM_CALLING,  /* ours: the connect is to be made */
    SH_SIM_GREETING, /* the first packets are under way */
    SH_SIM_UP,
    SH_SIM_OVER, /* `closed` was called, the user has still to close */
    SH_SIM_GONE, /* freed at the next leave */
};

struct sh_sim_wire; /* a chunk on its way to the socket */

struct sh_sim_stream {
    struct sh_stream stream;
    struct sh_sim_radio *radio;
    struct sh_sim_stream *next;
    enum sh_sim_state state;
    bool incoming;
    bool closing; /* the user closed it, what is queued still goes */
    int fd;
    char peer[SH_SIM_NAME_MAX + 1];
    uint8_t psm;
    struct event *readable, *sendable, *pump, *sample;
    sh_ms deadline; /* of CALLING and GREETING, or of closing */
    sh_ms start_at; /* CALLING: not before */
    sh_ms far_since;
    struct sh_sim_carrier carrier;
    struct sh_sim_wire *wire, **wire_end;
    size_t wire_bytes;
    bool broken; /* the socket takes no more; what the peer sent may still be there */
    bool was_high;
    bool sampling;
    uint64_t samples;
};

void sh_sim_enter(struct sh_sim_radio *radio);
void sh_sim_leave(struct sh_sim_radio *radio);
/* Within earshot of each other now. */
bool sh_sim_in_range(const struct sh_sim_radio *radio, const char *peer);

/* A stream in the radio's list: over a socket just accepted (the stream owns it, also on failure),
 * or to be connected. Fail with env.no-memory. */
SH_MUST_USE enum sh_cause sh_sim_stream_accept(struct sh_sim_radio *radio, int fd);
SH_MUST_USE enum sh_cause sh_sim_stream_call(struct sh_sim_radio *radio, const char *peer,
                                             uint8_t psm);
/* From a handler, 20 times a second: deadlines, range, faults that begin. */
void sh_sim_stream_watch(struct sh_sim_stream *stream, sh_ms now);
void sh_sim_stream_sample(struct sh_sim_stream *stream, bool on);
/* Sends at once what a closing stream still has, as far as the socket takes it. */
void sh_sim_stream_flush(struct sh_sim_stream *stream);
/* Closes the socket at once; the stream is GONE. */
void sh_sim_stream_drop(struct sh_sim_stream *stream);
void sh_sim_stream_free(struct sh_sim_stream *stream);

/* The radio's answer to a greeting: may this caller have a stream? */
SH_MUST_USE bool sh_sim_radio_takes(const struct sh_sim_radio *radio,
                                    const struct sh_sim_greeting *greeting);

#endif
