/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "channel_pair.h"

static void assert_failed(struct pair *pair, enum sh_cause client, enum sh_cause server)
{
    start(pair);
    assert_cause(pair->side[CLIENT].cause, client);
    assert_cause(pair->side[SERVER].cause, server);
    assert_int_equal(pair->side[SERVER].ups, 0);
    assert_false(sh_channel_is_up(pair->side[SERVER].channel));
    assert_false(sh_channel_is_up(pair->side[CLIENT].channel));
    assert_cause(sh_channel_rx(pair->side[SERVER].channel, SH_BYTES("x", 1)), server);
    assert_cause(sh_channel_end(pair->side[CLIENT].channel), client);
}

static void test_wrong_psk(void **state SH_UNUSED)
{
    autopair pair;
    pair_init(&pair);
    psk_client(&pair, "alice", 0x43);
    psk_server(&pair);
    assert_failed(&pair, SH_TLS_KEY_MISMATCH, SH_TLS_KEY_MISMATCH);
    assert_int_equal(pair.side[CLIENT].ups, 0);
}

static void test_unknown_identity(void **state SH_UNUSED)
{
    autopair pair;
    pair_init(&pair);
    psk_client(&pair, "mallory", 0x42);
    psk_server(&pair);
    assert_failed(&pair, SH_TLS_SESSION_UNKNOWN, SH_TLS_SESSION_UNKNOWN);
    assert_int_equal(pair.side[CLIENT].ups, 0);
    assert_int_equal(pair.side[SERVER].psk_asked, 1);
}

static void test_find_psk_fails(void **state SH_UNUSED)
{
    autopair pair;
    psk_pair(&pair);
    pair.side[SERVER].psk_says = SH_ENV_NO_MEMORY;
    assert_failed(&pair, SH_TLS_FAILED, SH_ENV_NO_MEMORY);
}

/* A client with the one kind of keys and a server with the other come to nothing. */
static void test_kinds_do_not_mix(void **state SH_UNUSED)
{
    {
        autopair pair;
        pair_init(&pair);
        psk_client(&pair, "alice", 0x42);
        certs_side(&pair, SERVER, anchor->key, anchor->server_cert, anchor->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
        assert_int_equal(pair.side[CLIENT].ups, 0);
    }
    {
        autopair pair;
        pair_init(&pair);
        certs_side(&pair, CLIENT, secondary->key, token.cert, anchor->ca_cert, NOW);
        psk_server(&pair);
        assert_failed(&pair, SH_TLS_FAILED, SH_TLS_SESSION_UNKNOWN);
        assert_int_equal(pair.side[SERVER].psk_asked, 0);
    }
}

static void test_config(void **state SH_UNUSED)
{
    struct sh_secret psk = {.b = {0}};
    struct sh_channel *channel = NULL;
    struct side side = {.ups = 0};
    uint8_t identity[SH_PSK_IDENTITY_MAX + 1] = {1};
    struct sh_channel_config nothing = {.role = SH_CHANNEL_CLIENT};
    struct sh_channel_config both = {.role = SH_CHANNEL_SERVER,
                                     .key = anchor->key,
                                     .cert = anchor->server_cert,
                                     .ca = anchor->ca_cert,
                                     .now = NOW};
    struct sh_channel_config long_id = {.role = SH_CHANNEL_CLIENT,
                                        .psk_identity = SH_BYTES(identity, sizeof(identity)),
                                        .psk = &psk};
    struct sh_channel_config wrong_key = both;
    wrong_key.key = stranger->key;
    assert_cause(sh_channel_new(&nothing, &plain_ops, &side, &channel), SH_INTERNAL_BUG);
    assert_cause(sh_channel_new(&both, &psk_server_ops, &side, &channel), SH_INTERNAL_BUG);
    assert_cause(sh_channel_new(&long_id, &plain_ops, &side, &channel), SH_INTERNAL_BUG);
    assert_cause(sh_channel_new(&wrong_key, &plain_ops, &side, &channel), SH_ENV_CRYPTO);
    assert_null(channel);
    sh_channel_free(NULL);
}

/* The client may think for a moment that it is up: its certificate is judged after its last word. */
static void test_wrong_ca(void **state SH_UNUSED)
{
    {
        autopair pair; /* the client does not know the server's CA */
        pair_init(&pair);
        certs_side(&pair, CLIENT, secondary->key, token.cert, stranger->ca_cert, NOW);
        certs_side(&pair, SERVER, anchor->key, anchor->server_cert, anchor->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
        assert_int_equal(pair.side[CLIENT].ups, 0);
    }
    {
        autopair pair; /* the server does not know the client's */
        pair_init(&pair);
        certs_side(&pair, CLIENT, secondary->key, token.cert, anchor->ca_cert, NOW);
        certs_side(&pair, SERVER, anchor->key, anchor->server_cert, stranger->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
    }
}

static void test_wrong_purpose(void **state SH_UNUSED)
{
    {
        autopair pair; /* a token does not make a server */
        pair_init(&pair);
        certs_side(&pair, CLIENT, secondary->key, token.cert, anchor->ca_cert, NOW);
        certs_side(&pair, SERVER, secondary->key, token.cert, anchor->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
        assert_int_equal(pair.side[CLIENT].ups, 0);
    }
    {
        autopair pair; /* nor the server's certificate a client */
        pair_init(&pair);
        certs_side(&pair, CLIENT, anchor->key, anchor->server_cert, anchor->ca_cert, NOW);
        certs_side(&pair, SERVER, anchor->key, anchor->server_cert, anchor->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
    }
}

static void test_expired(void **state SH_UNUSED)
{
    const int64_t token_over = NOW + SH_TOKEN_SECONDS + 1;
    const int64_t server_over = NOW + INT64_C(2) * 365 * 86400 + 1;
    {
        autopair pair;
        certs_pair(&pair, NOW, token_over);
        assert_failed(&pair, SH_LINKED_EXPIRED, SH_LINKED_EXPIRED);
    }
    {
        autopair pair;
        certs_pair(&pair, server_over, NOW);
        assert_failed(&pair, SH_LINKED_EXPIRED, SH_LINKED_EXPIRED);
        assert_int_equal(pair.side[CLIENT].ups, 0);
    }
    {
        autopair pair; /* a clock far behind */
        certs_pair(&pair, NOW - SH_BACKDATE_SECONDS - 1, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
        assert_int_equal(pair.side[CLIENT].ups, 0);
    }
}

/* Records that are lost, doubled or swapped do not pass for others. */
static void test_records_out_of_order(void **state SH_UNUSED)
{
    for (unsigned way = 0; way < 3; way++) {
        autopair pair;
        uint8_t first[64], second[64];
        psk_pair(&pair);
        start(&pair);
        struct side *client = &pair.side[CLIENT];
        ping(client, 1);
        size_t n = client->out_n;
        assert_true(n <= sizeof(first));
        memcpy(first, client->out, n);
        client->out_n = 0;
        ping(client, 2);
        assert_int_equal(client->out_n, n);
        memcpy(second, client->out, n);
        client->out_n = 0;
        if (way == 0) /* lost */
            tx(SH_BYTES(second, n), client);
        if (way == 1) { /* doubled */
            tx(SH_BYTES(first, n), client);
            tx(SH_BYTES(first, n), client);
        }
        if (way == 2) { /* swapped */
            tx(SH_BYTES(second, n), client);
            tx(SH_BYTES(first, n), client);
        }
        settle(&pair);
        assert_cause(pair.side[SERVER].cause, SH_TLS_FAILED);
        assert_int_equal(pair.side[SERVER].messages, way == 1 ? 1 : 0);
        assert_cause(client->cause, SH_TLS_FAILED);
    }
}

/* Everything that goes to one side in a handshake. */
static size_t handshake_length(bool certs, int to)
{
    autopair pair;
    if (certs)
        certs_pair(&pair, NOW, NOW);
    else
        psk_pair(&pair);
    start(&pair);
    assert_up(&pair);
    return pair.delivered[to];
}

static bool is_sensible(enum sh_cause cause)
{
    return cause == SH_TLS_FAILED || cause == SH_TLS_KEY_MISMATCH ||
           cause == SH_TLS_SESSION_UNKNOWN || cause == SH_TLS_BAD_CERTIFICATE ||
           cause == SH_CONNECT_LOST;
}

/* One bit bent in octet `at` of what goes to one side: that side is never up. */
static void bend_one(bool certs, int to, size_t at)
{
    autopair pair;
    if (certs)
        certs_pair(&pair, NOW, NOW);
    else
        psk_pair(&pair);
    pair.bend_at[to] = at;
    start(&pair);
    /* RFC 8446 section 5.1: the version in the header of a hello's record "MUST be ignored". The
     * last octets are not always there: an ECDSA signature has no fixed length. */
    if (at == 2 || pair.delivered[to] <= at)
        return;
    struct side *side = &pair.side[to];
    enum sh_cause cause = side->cause;
    if (cause == SH_OK)
        cause = sh_channel_end(side->channel);
    assert_int_equal(side->ups, 0);
    assert_true(is_sensible(cause));
    cause = pair.side[!to].cause;
    assert_true(cause == SH_OK || is_sensible(cause));
}

static void test_bent_handshake(void **state SH_UNUSED)
{
    for (int certs = 0; certs < 2; certs++) {
        for (int to = CLIENT; to <= SERVER; to++) {
            size_t n = handshake_length(certs, to);
            assert_true(n > 100);
            for (size_t at = 0; at < n; at++)
                bend_one(certs, to, at);
        }
    }
}

static void test_rubbish(void **state SH_UNUSED)
{
    static const struct {
        const char *bytes;
        size_t n;
    } table[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\x15\x03\x03\x00\x02\x02\x28", 7},         /* a bare alert */
        {"\x17\x03\x03\x00\x05hello", 10},           /* data before any key */
        {"\x16\x03\x01\xff\xff", 5},                 /* a record over the limit */
        {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9}, /* a ClientHello of 16 MiB */
        {"\x80\x2e\x01\x03\x01", 5},                 /* the hello of SSL 2 */
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        autopair pair;
        psk_pair(&pair);
        struct sh_channel *server = pair.side[SERVER].channel;
        enum sh_cause cause = sh_channel_rx(server, SH_BYTES(table[i].bytes, table[i].n));
        if (cause == SH_OK)
            cause = sh_channel_end(server);
        assert_true(cause == SH_TLS_FAILED || cause == SH_CONNECT_LOST ||
                    cause == SH_TLS_SESSION_UNKNOWN);
        assert_int_equal(pair.side[SERVER].ups, 0);
        pair.side[CLIENT].out_n = pair.side[SERVER].out_n = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_psk),
        cmocka_unit_test(test_unknown_identity),
        cmocka_unit_test(test_find_psk_fails),
        cmocka_unit_test(test_kinds_do_not_mix),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_wrong_ca),
        cmocka_unit_test(test_wrong_purpose),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_records_out_of_order),
        cmocka_unit_test(test_bent_handshake),
        cmocka_unit_test(test_rubbish),
    };
    return cmocka_run_group_tests(tests, make_world, free_world);
}
