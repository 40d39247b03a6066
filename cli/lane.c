/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/lane.h"

#include <stdlib.h>

struct sh_lane {
    struct sh_stream *stream;   /* NULL once it ended */
    struct sh_path_facts facts; /* of it, as it was then */
    struct sh_channel *channel;
    const struct sh_lane_ops *ops;
    void *user;
    bool down;
};

static void go_down(struct sh_lane *lane, enum sh_cause cause)
{
    if (lane->down)
        return;
    lane->down = true;
    lane->ops->down(lane, cause, lane->user);
}

/* What the channel calls. */

static void channel_tx(struct sh_bytes bytes, void *user)
{
    struct sh_lane *lane = user;
    if (lane->stream)
        sh_stream_send(lane->stream, bytes);
}

static enum sh_cause channel_up(void *user)
{
    struct sh_lane *lane = user;
    return lane->ops->up(lane, lane->user);
}

static enum sh_cause channel_msg(unsigned type, struct sh_bytes payload, void *user)
{
    struct sh_lane *lane = user;
    return lane->ops->msg(lane, type, payload, lane->user);
}

static enum sh_cause channel_find_psk(struct sh_bytes identity, struct sh_secret *ret_psk,
                                      void *user)
{
    struct sh_lane *lane = user;
    return lane->ops->find_psk(lane, identity, ret_psk, lane->user);
}

static const struct sh_channel_ops channel_ops = {
    .tx = channel_tx, .up = channel_up, .msg = channel_msg};
static const struct sh_channel_ops psk_server_ops = {
    .tx = channel_tx, .up = channel_up, .msg = channel_msg, .find_psk = channel_find_psk};

/* What the stream calls. Each ends with after(), behind which the lane may be gone. */

void sh_lane_rx(struct sh_lane *lane, struct sh_bytes bytes)
{
    if (lane->down)
        return;
    enum sh_cause cause = sh_channel_rx(lane->channel, bytes);
    if (cause != SH_OK)
        go_down(lane, cause);
}

void sh_lane_rx_all(struct sh_lane *lane, struct sh_bytes bytes)
{
    sh_lane_rx(lane, bytes);
    lane->ops->after(lane->user);
}

static void stream_rx(struct sh_bytes bytes, void *user)
{
    sh_lane_rx_all(user, bytes);
}

static void stream_writable(void *user)
{
    struct sh_lane *lane = user;
    if (!lane->down)
        lane->ops->writable(lane, lane->user);
    lane->ops->after(lane->user);
}

static void stream_closed(enum sh_cause cause, void *user)
{
    struct sh_lane *lane = user;
    sh_stream_look(lane->stream, &lane->facts);
    sh_stream_close(lane->stream);
    lane->stream = NULL;
    enum sh_cause end = sh_channel_end(lane->channel);
    /* A stream that breaks mostly does so inside a message: why it broke is what a person can use. */
    bool broke = end == SH_CONNECT_LOST || (end == SH_PROTO_TRUNCATED && cause != SH_OK);
    go_down(lane, end == SH_OK || broke ? cause : end);
    lane->ops->after(lane->user);
}

static const struct sh_stream_ops stream_ops = {
    .rx = stream_rx, .writable = stream_writable, .closed = stream_closed};

enum sh_cause sh_lane_new(struct sh_stream *stream, const struct sh_channel_config *config,
                          const struct sh_lane_ops *ops, void *user, struct sh_lane **ret_lane)
{
    struct sh_lane *lane = calloc(1, sizeof(*lane));
    if (!lane) {
        sh_stream_close(stream);
        return SH_ENV_NO_MEMORY;
    }
    lane->stream = stream;
    lane->ops = ops;
    lane->user = user;
    stream->ops = &stream_ops;
    stream->user = lane;
    enum sh_cause cause = sh_channel_new(config, ops->find_psk ? &psk_server_ops : &channel_ops,
                                         lane, &lane->channel);
    if (cause == SH_OK)
        cause = sh_channel_start(lane->channel);
    if (cause != SH_OK) {
        sh_lane_free(lane);
        return cause;
    }
    *ret_lane = lane;
    return SH_OK;
}

void sh_lane_free(struct sh_lane *lane)
{
    if (!lane)
        return;
    if (lane->channel && lane->stream && !lane->down)
        sh_channel_close(lane->channel);
    sh_stream_close(lane->stream);
    sh_channel_free(lane->channel);
    free(lane);
}

void sh_lane_set_owner(struct sh_lane *lane, const struct sh_lane_ops *ops, void *user)
{
    lane->ops = ops;
    lane->user = user;
}

enum sh_cause sh_lane_send(struct sh_lane *lane, unsigned type, const ProtobufCMessage *message)
{
    if (lane->down || !lane->stream)
        return SH_CONNECT_LOST;
    return sh_channel_send(lane->channel, type, message);
}

enum sh_cause sh_lane_send_binary(struct sh_lane *lane, unsigned type, struct sh_bytes head,
                                  struct sh_bytes data)
{
    if (lane->down || !lane->stream)
        return SH_CONNECT_LOST;
    return sh_channel_send_binary(lane->channel, type, head, data);
}

size_t sh_lane_pending(const struct sh_lane *lane)
{
    return lane->stream ? sh_stream_pending(lane->stream) : 0;
}

void sh_lane_look(const struct sh_lane *lane, struct sh_path_facts *facts)
{
    *facts = lane->facts;
    sh_stream_look(lane->stream, facts);
}

bool sh_lane_is_up(const struct sh_lane *lane)
{
    return !lane->down && sh_channel_is_up(lane->channel);
}

bool sh_lane_is_down(const struct sh_lane *lane)
{
    return lane->down;
}

struct sh_channel *sh_lane_channel(struct sh_lane *lane)
{
    return lane->channel;
}
