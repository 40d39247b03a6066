/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "channel_pair.h"
#include "crypto/channel_tls.h"

static void talk(struct pair *pair)
{
    start(pair);
    assert_up(pair);
    pair->side[SERVER].echo = 1;
    ping(&pair->side[CLIENT], 7);
    settle(pair);
    assert_int_equal(pair->side[CLIENT].last_sequence, 7);
    assert_int_equal(pair->side[CLIENT].messages, 1);
    assert_ok(send_leaf(&pair->side[SERVER], 0, SH_LEAF_SIZE));
    settle(pair);
    assert_int_equal(pair->side[CLIENT].leaf_octets, SH_LEAF_SIZE);
    assert_cause(pair->side[CLIENT].cause, SH_OK);
    assert_cause(pair->side[SERVER].cause, SH_OK);
}

static void test_psk(void **state SH_UNUSED)
{
    static size_t (*const cuts[])(struct pair *, size_t) = {all, one, some, some, some};
    for (size_t i = 0; i < SH_COUNT(cuts); i++) {
        autopair pair;
        psk_pair(&pair);
        pair.cut = cuts[i];
        pair.seed = (unsigned)i;
        talk(&pair);
        assert_null(sh_channel_peer_cert(pair.side[CLIENT].channel));
        assert_null(sh_channel_peer_cert(pair.side[SERVER].channel));
        assert_string_equal(sh_channel_group(pair.side[CLIENT].channel),
                            sh_channel_group(pair.side[SERVER].channel));
        assert_non_null(strcasestr(sh_channel_group(pair.side[CLIENT].channel), "x25519"));
    }
}

static void test_certs(void **state SH_UNUSED)
{
    static size_t (*const cuts[])(struct pair *, size_t) = {all, one, some};
    for (size_t i = 0; i < SH_COUNT(cuts); i++) {
        autopair pair;
        certs_pair(&pair, NOW - 60, NOW);
        pair.cut = cuts[i];
        talk(&pair);
        X509 *peer = sh_channel_peer_cert(pair.side[SERVER].channel);
        assert_int_equal(X509_cmp(peer, token.cert), 0);
        peer = sh_channel_peer_cert(pair.side[CLIENT].channel);
        assert_int_equal(X509_cmp(peer, anchor->server_cert), 0);
    }
}

/* What each side's processor has, with either kind of keys, decides about the suite. */
static void test_suite_follows_processors(void **state SH_UNUSED)
{
    static const struct {
        enum sh_channel_aes client, server;
        const char *suite;
    } rows[] = {
        {SH_CHANNEL_AES_QUICK, SH_CHANNEL_AES_QUICK, "TLS_AES_128_GCM_SHA256"},
        {SH_CHANNEL_AES_QUICK, SH_CHANNEL_AES_SLOW, "TLS_CHACHA20_POLY1305_SHA256"},
        {SH_CHANNEL_AES_SLOW, SH_CHANNEL_AES_QUICK, "TLS_CHACHA20_POLY1305_SHA256"},
        {SH_CHANNEL_AES_SLOW, SH_CHANNEL_AES_SLOW, "TLS_CHACHA20_POLY1305_SHA256"},
    };
    for (size_t i = 0; i < 2 * SH_COUNT(rows); i++) {
        autopair pair;
        bool certs = i >= SH_COUNT(rows);
        pair_init(&pair);
        pair.side[CLIENT].aes = rows[i % SH_COUNT(rows)].client;
        pair.side[SERVER].aes = rows[i % SH_COUNT(rows)].server;
        if (certs) {
            certs_both(&pair, NOW, NOW);
        } else {
            psk_client(&pair, "alice", 0x42);
            psk_server(&pair);
        }
        assert_string_equal(sh_channel_suite(pair.side[CLIENT].channel), "");
        talk(&pair);
        for (int side = CLIENT; side <= SERVER; side++)
            assert_string_equal(sh_channel_suite(pair.side[side].channel),
                                rows[i % SH_COUNT(rows)].suite);
    }
}

/* Said by nobody: this machine's own processor, on both sides. */
static void test_suite_of_this_processor(void **state SH_UNUSED)
{
    autopair pair;
    psk_pair(&pair);
    talk(&pair);
    assert_string_equal(sh_channel_suite(pair.side[SERVER].channel),
                        sh_tls_processor_has_aes() ? "TLS_AES_128_GCM_SHA256"
                                                   : "TLS_CHACHA20_POLY1305_SHA256");
}

/* As the kernel says it, which asks the processor by another way. */
static void test_processor(void **state SH_UNUSED)
{
    char line[8192];
    bool found = false, aes = false, multiplies = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    assert_non_null(file);
    while (!found && fgets(line, sizeof(line), file)) {
        found = strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0;
        char *rest = NULL, *word = strtok_r(line, " \t\n", &rest);
        for (; found && word; word = strtok_r(NULL, " \t\n", &rest)) {
            aes = aes || strcmp(word, "aes") == 0;
            multiplies = multiplies || strcmp(word, "pclmulqdq") == 0 || strcmp(word, "pmull") == 0;
        }
    }
    fclose(file);
    if (!found)
        skip();
    assert_int_equal(sh_tls_processor_has_aes(), aes && multiplies);
}

static void test_before_up(void **state SH_UNUSED)
{
    autopair pair;
    struct sh_secret psk;
    Simhop__Ping message = SIMHOP__PING__INIT;
    psk_pair(&pair);
    struct sh_channel *client = pair.side[CLIENT].channel;
    assert_false(sh_channel_is_up(client));
    assert_cause(sh_channel_send(client, SH_MSG_PING, &message.base), SH_PROTO_WRONG_STATE);
    assert_cause(send_leaf(&pair.side[CLIENT], 0, 1), SH_PROTO_WRONG_STATE);
    assert_cause(sh_channel_export(client, &psk), SH_PROTO_WRONG_STATE);
    assert_string_equal(sh_channel_group(client), "");
    assert_null(sh_channel_peer_cert(client));
    sh_channel_close(client);
    assert_int_equal(pair.side[CLIENT].out_n, 0);
    assert_cause(sh_channel_end(client), SH_CONNECT_LOST);
}

/* 20 MiB in leaves; what waits inside stays small whatever is pushed through. */
static void test_much(void **state SH_UNUSED)
{
    autopair pair;
    psk_pair(&pair);
    start(&pair);
    assert_up(&pair);
    for (unsigned i = 0; i < 320; i++) {
        assert_ok(send_leaf(&pair.side[SERVER], i, SH_LEAF_SIZE));
        if (i % 16 == 15)
            settle(&pair);
    }
    assert_int_equal(pair.side[CLIENT].leaf_octets, 20 << 20);
    assert_in_range(pair.side[SERVER].largest_tx, 16384, 17000);
}

static void test_answer_from_inside(void **state SH_UNUSED)
{
    autopair pair;
    psk_pair(&pair);
    start(&pair);
    pair.side[SERVER].echo = 3;
    for (unsigned i = 1; i <= 50; i++)
        ping(&pair.side[CLIENT], i);
    settle(&pair); /* fifty pings in one rx, each answered thrice from within */
    assert_int_equal(pair.side[SERVER].messages, 50);
    assert_int_equal(pair.side[CLIENT].messages, 150);
    assert_int_equal(pair.side[CLIENT].last_sequence, 50);
}

static void test_not_from_tx(void **state SH_UNUSED)
{
    autopair pair;
    psk_pair(&pair);
    start(&pair);
    pair.side[CLIENT].misuse_tx = true;
    ping(&pair.side[CLIENT], 1);
    assert_cause(pair.side[CLIENT].misuse, SH_INTERNAL_BUG);
    pair.side[CLIENT].misuse_tx = false;
    settle(&pair);
    assert_int_equal(pair.side[SERVER].last_sequence, 1);
}

static void test_up_refuses(void **state SH_UNUSED)
{
    autopair pair;
    Simhop__Abort abort_message;
    simhop__abort__init(&abort_message);
    psk_pair(&pair);
    pair.side[SERVER].up_says = SH_LINKED_REVOKED;
    start(&pair);
    assert_cause(pair.side[SERVER].cause, SH_LINKED_REVOKED);
    assert_false(sh_channel_is_up(pair.side[SERVER].channel));
    /* it can still say why */
    assert_ok(sh_channel_send(pair.side[SERVER].channel, SH_MSG_ABORT, &abort_message.base));
    sh_channel_close(pair.side[SERVER].channel);
    settle(&pair);
    assert_int_equal(pair.side[CLIENT].messages, 1);
    assert_ok(sh_channel_end(pair.side[CLIENT].channel));
    /* and hears nothing more */
    ping(&pair.side[CLIENT], 1);
    settle(&pair);
    assert_int_equal(pair.side[SERVER].messages, 0);
}

static void test_msg_refuses(void **state SH_UNUSED)
{
    autopair pair;
    psk_pair(&pair);
    start(&pair);
    pair.side[SERVER].msg_says = SH_PROTO_WRONG_STATE;
    ping(&pair.side[CLIENT], 1);
    ping(&pair.side[CLIENT], 2);
    settle(&pair);
    assert_cause(pair.side[SERVER].cause, SH_PROTO_WRONG_STATE);
    assert_int_equal(pair.side[SERVER].messages, 1);
}

static void test_close(void **state SH_UNUSED)
{
    autopair pair;
    Simhop__Ping message = SIMHOP__PING__INIT;
    psk_pair(&pair);
    start(&pair);
    ping(&pair.side[CLIENT], 1);
    sh_channel_close(pair.side[CLIENT].channel);
    sh_channel_close(pair.side[CLIENT].channel);
    assert_cause(sh_channel_send(pair.side[CLIENT].channel, SH_MSG_PING, &message.base),
                 SH_PROTO_WRONG_STATE);
    settle(&pair);
    assert_int_equal(pair.side[SERVER].messages, 1);
    assert_ok(sh_channel_end(pair.side[SERVER].channel));
    assert_ok(sh_channel_rx(pair.side[SERVER].channel, SH_BYTES("trailing", 8)));
    assert_cause(sh_channel_end(pair.side[CLIENT].channel), SH_CONNECT_LOST);
    ping(&pair.side[SERVER], 2); /* the other half is still open */
    settle(&pair);
    assert_int_equal(pair.side[CLIENT].last_sequence, 2);
}

/* The stream ends without close_notify: between two messages, inside a record, inside a message. */
static void test_truncated(void **state SH_UNUSED)
{
    autopair pair;
    psk_pair(&pair);
    start(&pair);
    assert_cause(sh_channel_end(pair.side[CLIENT].channel), SH_CONNECT_LOST);
    assert_ok(send_leaf(&pair.side[SERVER], 0, SH_LEAF_SIZE));
    struct side *server = &pair.side[SERVER];
    assert_ok(sh_channel_rx(pair.side[CLIENT].channel, SH_BYTES(server->out, 1000)));
    assert_cause(sh_channel_end(pair.side[CLIENT].channel), SH_CONNECT_LOST);
    assert_ok(sh_channel_rx(pair.side[CLIENT].channel, SH_BYTES(server->out + 1000, 39000)));
    assert_cause(sh_channel_end(pair.side[CLIENT].channel), SH_PROTO_TRUNCATED);
    server->out_n = 0;
}

static void test_send_caps(void **state SH_UNUSED)
{
    autopair pair;
    Simhop__Ping message = SIMHOP__PING__INIT;
    uint8_t padding[5000] = {0};
    psk_pair(&pair);
    start(&pair);
    struct sh_channel *client = pair.side[CLIENT].channel;
    assert_cause(send_leaf(&pair.side[CLIENT], 0, SH_LEAF_SIZE + 1), SH_INTERNAL_BUG);
    assert_cause(sh_channel_send_binary(client, SH_MSG_PING, SH_BYTES(NULL, 0), SH_BYTES(NULL, 0)),
                 SH_INTERNAL_BUG);
    assert_cause(sh_channel_send_binary(client, 200, SH_BYTES(NULL, 0), SH_BYTES(NULL, 0)),
                 SH_INTERNAL_BUG);
    message.padding.data = padding;
    message.padding.len = sizeof(padding);
    assert_cause(sh_channel_send(client, SH_MSG_PING, &message.base), SH_INTERNAL_BUG);
    assert_cause(sh_channel_send(client, SH_MSG_PONG, &message.base), SH_INTERNAL_BUG);
    assert_int_equal(pair.side[CLIENT].out_n, 0);
    ping(&pair.side[CLIENT], 9); /* none of these spoiled the channel */
    settle(&pair);
    assert_int_equal(pair.side[SERVER].last_sequence, 9);
    assert_ok(send_leaf(&pair.side[CLIENT], 0, 0));
    settle(&pair);
    assert_int_equal(pair.side[SERVER].leaves, 1);
}

static void test_export(void **state SH_UNUSED)
{
    struct sh_secret exported[3][2];
    for (unsigned i = 0; i < 3; i++) {
        autopair pair;
        if (i < 2)
            psk_pair(&pair);
        else
            certs_pair(&pair, NOW, NOW);
        start(&pair);
        assert_up(&pair);
        for (int side = CLIENT; side <= SERVER; side++)
            assert_ok(sh_channel_export(pair.side[side].channel, &exported[i][side]));
        assert_memory_equal(&exported[i][CLIENT], &exported[i][SERVER], SH_SECRET_SIZE);
    }
    assert_memory_not_equal(&exported[0][0], &exported[1][0], SH_SECRET_SIZE);
    assert_memory_not_equal(&exported[0][0], &exported[2][0], SH_SECRET_SIZE);
}

/* A further link: the exporter of the first channel is the key of the second. */
static void test_exported_key_opens_a_link(void **state SH_UNUSED)
{
    autopair first;
    autopair second;
    struct sh_secret psk;
    certs_pair(&first, NOW, NOW);
    start(&first);
    pair_init(&second);
    assert_ok(sh_channel_export(first.side[SERVER].channel, &second.side[SERVER].psk));
    assert_ok(sh_channel_export(first.side[CLIENT].channel, &psk));
    struct sh_channel_config config = {
        .role = SH_CHANNEL_CLIENT, .psk_identity = SH_BYTES("alice", 5), .psk = &psk};
    assert_ok(
        sh_channel_new(&config, &plain_ops, &second.side[CLIENT], &second.side[CLIENT].channel));
    psk_server(&second);
    talk(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_psk),
        cmocka_unit_test(test_certs),
        cmocka_unit_test(test_suite_follows_processors),
        cmocka_unit_test(test_suite_of_this_processor),
        cmocka_unit_test(test_processor),
        cmocka_unit_test(test_before_up),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_answer_from_inside),
        cmocka_unit_test(test_not_from_tx),
        cmocka_unit_test(test_up_refuses),
        cmocka_unit_test(test_msg_refuses),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_send_caps),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_exported_key_opens_a_link),
    };
    return cmocka_run_group_tests(tests, make_world, free_world);
}
