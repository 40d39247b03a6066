/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A lane: one stream with one secure channel on it. It takes the stream over, feeds the channel and tells its owner
 * of messages; the owner may drop the lane only from after(), which ends every call that came from the stream.
 */
#ifndef SIMHOP_CLI_LANE_H
#define SIMHOP_CLI_LANE_H

#include "crypto/channel.h"
#include "proto/stream.h"
#include "transfer/path.h"

struct sh_lane;

struct sh_lane_ops {
    enum sh_cause (*up)(struct sh_lane *lane, void *user);
    enum sh_cause (*msg)(struct sh_lane *lane, unsigned type, struct sh_bytes payload, void *user);
    enum sh_cause (*find_psk)(struct sh_lane *lane, struct sh_bytes identity,
                              struct sh_secret *ret_psk, void *user); /* NULL: none */
    /* The stream has room again. */
    void (*writable)(struct sh_lane *lane, void *user);
    /* The lane is over (the stream ended, TLS failed, up or msg refused); nothing more is called but after. */
    void (*down)(struct sh_lane *lane, enum sh_cause cause, void *user);
    /* The end of a call from the stream: lanes may be freed now, this one too. */
    void (*after)(void *user);
};

/* Takes the stream over, at failure too (it is closed then). Fails as sh_channel_new and sh_channel_start do. */
SH_MUST_USE enum sh_cause sh_lane_new(struct sh_stream *stream,
                                      const struct sh_channel_config *config,
                                      const struct sh_lane_ops *ops, void *user,
                                      struct sh_lane **ret_lane);
/* Closes the stream after what is queued. */
void sh_lane_free(struct sh_lane *lane);

/* From now on another owner is told (a lane that was accepted before it was known whose it is). */
void sh_lane_set_owner(struct sh_lane *lane, const struct sh_lane_ops *ops, void *user);

/* Bytes of the stream that came before the lane had it. */
void sh_lane_rx(struct sh_lane *lane, struct sh_bytes bytes);
/* The same as the stream itself would give them, so that after() ends it. */
void sh_lane_rx_all(struct sh_lane *lane, struct sh_bytes bytes);

/* Fails with connect.lost when the lane is down, else as the channel does. */
SH_MUST_USE enum sh_cause sh_lane_send(struct sh_lane *lane, unsigned type,
                                       const ProtobufCMessage *message);
SH_MUST_USE enum sh_cause sh_lane_send_binary(struct sh_lane *lane, unsigned type,
                                              struct sh_bytes head, struct sh_bytes data);
/* Octets that the stream has not taken yet. */
size_t sh_lane_pending(const struct sh_lane *lane);
/* What is known of its way; phase SH_PATH_NONE: nothing. */
void sh_lane_look(const struct sh_lane *lane, struct sh_path_facts *facts);
bool sh_lane_is_up(const struct sh_lane *lane);
bool sh_lane_is_down(const struct sh_lane *lane);
/* For the exporter and the peer's certificate. */
struct sh_channel *sh_lane_channel(struct sh_lane *lane);

#endif
