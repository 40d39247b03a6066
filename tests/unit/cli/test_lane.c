/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Why a lane is said to be down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/lane.h"
#include "crypto/secret.h"
#include "proto/msg.h"

#define BIG 60000 /* more than one TLS record (RFC 8446 section 5.1) */

/* One end of a stream in memory: what it sends waits for the test to carry it over. */
struct side {
    struct sh_stream stream;
    struct sh_lane *lane;
    uint8_t *out;
    size_t n;
    unsigned downs, messages;
    enum sh_cause cause;
    bool up;
};

static void side_send(struct sh_stream *stream, struct sh_bytes bytes)
{
    struct side *side = (struct side *)stream;
    side->out = realloc(side->out, side->n + bytes.n);
    assert_non_null(side->out);
    memcpy(side->out + side->n, bytes.p, bytes.n);
    side->n += bytes.n;
}

static size_t side_pending(const struct sh_stream *stream)
{
    return ((const struct side *)stream)->n;
}

static void side_close(struct sh_stream *stream)
{
    stream->ops = NULL;
}

static const struct sh_stream_driver driver = {
    .send = side_send, .pending = side_pending, .close = side_close};
static const struct sh_secret psk = {.b = {1, 2, 3}};

static enum sh_cause on_up(struct sh_lane *lane SH_UNUSED, void *user)
{
    ((struct side *)user)->up = true;
    return SH_OK;
}

static enum sh_cause on_msg(struct sh_lane *lane SH_UNUSED, unsigned type SH_UNUSED,
                            struct sh_bytes payload SH_UNUSED, void *user)
{
    ((struct side *)user)->messages++;
    return SH_OK;
}

static enum sh_cause on_find_psk(struct sh_lane *lane SH_UNUSED, struct sh_bytes identity SH_UNUSED,
                                 struct sh_secret *ret_psk, void *user SH_UNUSED)
{
    *ret_psk = psk;
    return SH_OK;
}

static void on_down(struct sh_lane *lane SH_UNUSED, enum sh_cause cause, void *user)
{
    struct side *side = user;
    side->downs++;
    side->cause = cause;
}

static void on_writable(struct sh_lane *lane SH_UNUSED, void *user SH_UNUSED) {}
static void on_after(void *user SH_UNUSED) {}

static const struct sh_lane_ops client_ops = {
    .up = on_up, .msg = on_msg, .writable = on_writable, .down = on_down, .after = on_after};
static const struct sh_lane_ops server_ops = {.up = on_up,
                                              .msg = on_msg,
                                              .find_psk = on_find_psk,
                                              .writable = on_writable,
                                              .down = on_down,
                                              .after = on_after};

/* The first `most` octets that wait. */
static void carry(struct side *from, struct side *to, size_t most)
{
    uint8_t *bytes = from->out;
    size_t n = SH_MIN(from->n, most);
    from->out = NULL;
    from->n = 0;
    if (n > 0)
        to->stream.ops->rx(SH_BYTES(bytes, n), to->stream.user);
    free(bytes);
}

static void begin(struct side *client, struct side *server)
{
    struct sh_channel_config config = {
        .role = SH_CHANNEL_CLIENT, .psk_identity = SH_BYTES("alice", 5), .psk = &psk};
    *client = *server = (struct side){.stream = {.driver = &driver}};
    assert_int_equal(sh_lane_new(&client->stream, &config, &client_ops, client, &client->lane),
                     SH_OK);
    config = (struct sh_channel_config){.role = SH_CHANNEL_SERVER};
    assert_int_equal(sh_lane_new(&server->stream, &config, &server_ops, server, &server->lane),
                     SH_OK);
    for (unsigned i = 0; i < 4; i++) {
        carry(client, server, SIZE_MAX);
        carry(server, client, SIZE_MAX);
    }
    assert_true(client->up && server->up);
}

static void end(struct side *client, struct side *server)
{
    struct side *sides[] = {client, server};
    for (size_t i = 0; i < SH_COUNT(sides); i++) {
        sh_lane_free(sides[i]->lane);
        free(sides[i]->out);
    }
}

/* What the client is told when its stream ends so, with so much of a message there. */
static enum sh_cause told(size_t most, enum sh_cause cause, unsigned messages)
{
    static uint8_t data[BIG];
    struct side client, server;
    begin(&client, &server);
    assert_int_equal(sh_lane_send_binary(server.lane, SH_MSG_LEAF, SH_BYTES("head", 4),
                                         SH_BYTES(data, sizeof(data))),
                     SH_OK);
    carry(&server, &client, most);
    assert_int_equal(client.messages, messages);
    client.stream.ops->closed(cause, client.stream.user);
    assert_int_equal(client.downs, 1);
    enum sh_cause said = client.cause;
    end(&client, &server);
    return said;
}

/* That a message ended in its middle is what every break looks like: it tells a person nothing. */
static void test_break_in_a_message(void **state SH_UNUSED)
{
    assert_int_equal(told(BIG / 2, SH_WIFI_GROUP_LOST, 0), SH_WIFI_GROUP_LOST);
    assert_int_equal(told(BIG / 2, SH_CONNECT_LOST, 0), SH_CONNECT_LOST);
}

static void test_break_between_messages(void **state SH_UNUSED)
{
    assert_int_equal(told(SIZE_MAX, SH_WIFI_GROUP_LOST, 1), SH_WIFI_GROUP_LOST);
    assert_int_equal(told(SIZE_MAX, SH_CONNECT_LOST, 1), SH_CONNECT_LOST);
}

/* An end in good order inside a message is the other device's fault, and no break. */
static void test_end_in_a_message(void **state SH_UNUSED)
{
    assert_int_equal(told(BIG / 2, SH_OK, 0), SH_PROTO_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_break_in_a_message),
        cmocka_unit_test(test_break_between_messages),
        cmocka_unit_test(test_end_in_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
