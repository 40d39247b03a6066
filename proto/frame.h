/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cuts a stream of bytes into frames. The length is checked against the cap of its type as soon as
 * the four header octets are there; nothing is allocated before, and then exactly that length.
 * What one reader holds is bounded by the largest cap of the types that it is told to take.
 */
#ifndef SIMHOP_PROTO_FRAME_H
#define SIMHOP_PROTO_FRAME_H

#include "proto/msg.h"

struct sh_frame_reader;

/* Takes one whole frame. payload is valid during the call. A cause other than SH_OK ends the
 * reading and is given back by sh_frame_reader_rx. */
typedef enum sh_cause (*sh_frame_fn)(unsigned type, struct sh_bytes payload, void *user);

/* clear_only: take only types that may come before TLS. NULL when there is no memory. */
struct sh_frame_reader *sh_frame_reader_new(bool clear_only, sh_frame_fn fn, void *user);
void sh_frame_reader_free(struct sh_frame_reader *reader);

/* Feeds bytes; *ret_used says how many were taken, less than bytes.n only after a failure or after
 * sh_frame_reader_stop. Fails with proto.frame-too-long, proto.unknown-type, proto.wrong-state (a
 * type that may not come in the clear), env.no-memory, or what the callback gave. */
SH_MUST_USE enum sh_cause sh_frame_reader_rx(struct sh_frame_reader *reader, struct sh_bytes bytes,
                                             size_t *ret_used);

/* From inside the callback: what follows this frame is not frames (TLS begins). */
void sh_frame_reader_stop(struct sh_frame_reader *reader);

/* At the end of the stream: SH_OK between two frames, proto.truncated inside one. */
SH_MUST_USE enum sh_cause sh_frame_reader_end(const struct sh_frame_reader *reader);

#endif
