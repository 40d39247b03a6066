/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server to which strangers come: with a PSK as ever, or by "simhop1-direct" with certificates, never anything between. */
#include "channel_pair.h"

static void assert_failed(struct pair *pair, enum sh_cause client, enum sh_cause server)
{
    start(pair);
    assert_cause(pair->side[CLIENT].cause, client);
    assert_cause(pair->side[SERVER].cause, server);
    assert_int_equal(pair->side[SERVER].ups, 0);
}

static void direct_client(struct pair *pair, X509 *cert, X509 *ca)
{
    struct sh_channel_config config = {.role = SH_CHANNEL_CLIENT,
                                       .key = secondary->key,
                                       .cert = cert,
                                       .ca = ca,
                                       .direct = true,
                                       .now = NOW};
    assert_ok(
        sh_channel_new(&config, &plain_ops, &pair->side[CLIENT], &pair->side[CLIENT].channel));
}

static void door(struct pair *pair, const struct sh_identity *who, X509 *ca, int64_t now)
{
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER,
                                       .key = who->key,
                                       .cert = who->server_cert,
                                       .ca = ca,
                                       .direct = true,
                                       .now = now};
    assert_ok(
        sh_channel_new(&config, &psk_server_ops, &pair->side[SERVER], &pair->side[SERVER].channel));
}

static void by_certificates(void **state SH_UNUSED)
{
    static size_t (*const cuts[])(struct pair *, size_t) = {all, one, some};
    for (size_t i = 0; i < SH_COUNT(cuts); i++) {
        autopair pair;
        uint8_t value[2][32];
        struct sh_secret link;
        pair_init(&pair);
        pair.cut = cuts[i];
        direct_client(&pair, token.cert, anchor->ca_cert);
        door(&pair, anchor, anchor->ca_cert, NOW);
        start(&pair);
        assert_up(&pair);
        for (int side = CLIENT; side <= SERVER; side++) {
            assert_true(sh_channel_is_direct(pair.side[side].channel));
            assert_ok(sh_channel_export_direct(pair.side[side].channel, value[side]));
        }
        assert_memory_equal(value[CLIENT], value[SERVER], 32);
        assert_ok(sh_channel_export(pair.side[CLIENT].channel, &link));
        assert_memory_not_equal(value[CLIENT], link.b, 32);
        assert_int_equal(X509_cmp(sh_channel_peer_cert(pair.side[SERVER].channel), token.cert), 0);
        assert_int_equal(pair.side[SERVER].psk_asked, 0);
    }
}

static void by_psk(void **state SH_UNUSED)
{
    autopair pair;
    uint8_t value[32];
    pair_init(&pair);
    psk_client(&pair, "alice", 0x42);
    door(&pair, anchor, anchor->ca_cert, NOW);
    start(&pair);
    assert_up(&pair);
    assert_null(sh_channel_peer_cert(pair.side[SERVER].channel));
    assert_null(sh_channel_peer_cert(pair.side[CLIENT].channel));
    for (int side = CLIENT; side <= SERVER; side++) {
        assert_false(sh_channel_is_direct(pair.side[side].channel));
        assert_cause(sh_channel_export_direct(pair.side[side].channel, value),
                     SH_PROTO_WRONG_STATE);
    }
}

/* What a client relies on: a key that is not known any more is told from a wrong one. */
static void psk_refused(void **state SH_UNUSED)
{
    {
        autopair pair;
        pair_init(&pair);
        psk_client(&pair, "bob", 0x42);
        door(&pair, anchor, anchor->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_SESSION_UNKNOWN, SH_TLS_SESSION_UNKNOWN);
    }
    {
        autopair pair;
        pair_init(&pair);
        psk_client(&pair, "alice", 0x43);
        door(&pair, anchor, anchor->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_KEY_MISMATCH, SH_TLS_KEY_MISMATCH);
    }
}

static void nothing_between(void **state SH_UNUSED)
{
    {
        autopair pair; /* certificates without the word for them */
        pair_init(&pair);
        certs_side(&pair, CLIENT, secondary->key, token.cert, anchor->ca_cert, NOW);
        door(&pair, anchor, anchor->ca_cert, NOW);
        start(&pair);
        assert_int_equal(pair.side[CLIENT].ups + pair.side[SERVER].ups, 0);
    }
    {
        autopair pair; /* a server of the further links only */
        pair_init(&pair);
        direct_client(&pair, token.cert, anchor->ca_cert);
        psk_server(&pair);
        assert_failed(&pair, SH_TLS_FAILED, SH_TLS_FAILED);
    }
    {
        autopair pair; /* one that has had a handshake before */
        pair_init(&pair);
        direct_client(&pair, token.cert, anchor->ca_cert);
        certs_side(&pair, SERVER, anchor->key, anchor->server_cert, anchor->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_FAILED, SH_TLS_FAILED);
    }
}

static void wrong_certificates(void **state SH_UNUSED)
{
    {
        autopair pair; /* who answers there is another one */
        pair_init(&pair);
        direct_client(&pair, token.cert, anchor->ca_cert);
        door(&pair, stranger, stranger->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
        assert_int_equal(pair.side[CLIENT].ups, 0);
    }
    {
        autopair pair; /* who comes is a device of another one */
        pair_init(&pair);
        direct_client(&pair, token.cert, anchor->ca_cert);
        door(&pair, anchor, stranger->ca_cert, NOW);
        assert_failed(&pair, SH_TLS_BAD_CERTIFICATE, SH_TLS_BAD_CERTIFICATE);
    }
    {
        autopair pair;
        pair_init(&pair);
        direct_client(&pair, token.cert, anchor->ca_cert);
        door(&pair, anchor, anchor->ca_cert, NOW + SH_TOKEN_SECONDS + 1);
        assert_failed(&pair, SH_LINKED_EXPIRED, SH_LINKED_EXPIRED);
    }
}

static void door_of(struct pair *pair, struct sh_channel_context *context, int64_t now)
{
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER,
                                       .key = anchor->key,
                                       .cert = anchor->server_cert,
                                       .ca = anchor->ca_cert,
                                       .direct = true,
                                       .now = now,
                                       .context = context};
    assert_ok(
        sh_channel_new(&config, &psk_server_ops, &pair->side[SERVER], &pair->side[SERVER].channel));
}

/* Each channel has its own keys and its own time all the same; and one goes on when the context is given up. */
static void one_context_for_all(void **state SH_UNUSED)
{
    const struct sh_channel_config config = {.role = SH_CHANNEL_SERVER,
                                             .key = anchor->key,
                                             .cert = anchor->server_cert,
                                             .ca = anchor->ca_cert,
                                             .direct = true};
    struct sh_channel_context *context = NULL;
    autopair late;
    autopair psk;
    autopair certs;
    assert_ok(sh_channel_context_new(&config, true, &context));
    pair_init(&late);
    direct_client(&late, token.cert, anchor->ca_cert);
    door_of(&late, context, NOW + SH_TOKEN_SECONDS + 1);
    assert_failed(&late, SH_LINKED_EXPIRED, SH_LINKED_EXPIRED);
    pair_init(&psk);
    psk_client(&psk, "alice", 0x42);
    door_of(&psk, context, NOW);
    pair_init(&certs);
    direct_client(&certs, token.cert, anchor->ca_cert);
    door_of(&certs, context, NOW);
    sh_channel_context_free(context);
    start(&psk);
    assert_up(&psk);
    assert_int_equal(psk.side[SERVER].psk_asked, 1);
    start(&certs);
    assert_up(&certs);
    assert_true(sh_channel_is_direct(certs.side[SERVER].channel));
    assert_int_equal(certs.side[SERVER].psk_asked, 0);
}

static void configs(void **state SH_UNUSED)
{
    struct side side = {0};
    struct sh_channel *channel = NULL;
    struct sh_secret psk = {.b = {1}};
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER,
                                       .key = anchor->key,
                                       .cert = anchor->server_cert,
                                       .ca = anchor->ca_cert,
                                       .direct = true};
    assert_cause(sh_channel_new(&config, &plain_ops, &side, &channel), SH_INTERNAL_BUG);
    config.direct = false;
    assert_cause(sh_channel_new(&config, &psk_server_ops, &side, &channel), SH_INTERNAL_BUG);
    config = (struct sh_channel_config){.role = SH_CHANNEL_SERVER, .direct = true};
    assert_cause(sh_channel_new(&config, &psk_server_ops, &side, &channel), SH_INTERNAL_BUG);
    config = (struct sh_channel_config){
        .role = SH_CHANNEL_CLIENT, .psk = &psk, .psk_identity = SH_BYTES("a", 1), .direct = true};
    assert_cause(sh_channel_new(&config, &plain_ops, &side, &channel), SH_INTERNAL_BUG);
    assert_null(channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_certificates),
        cmocka_unit_test(by_psk),
        cmocka_unit_test(psk_refused),
        cmocka_unit_test(nothing_between),
        cmocka_unit_test(wrong_certificates),
        cmocka_unit_test(one_context_for_all),
        cmocka_unit_test(configs),
    };
    return cmocka_run_group_tests(tests, make_world, free_world);
}
