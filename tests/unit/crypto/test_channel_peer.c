/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server channel against a peer that is not our engine: OpenSSL alone, which says what it likes. */
#include <openssl/ssl.h>

#include "channel_pair.h"

struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    struct pair pair; /* only its server */
};

static int peer_psk(SSL *ssl, const EVP_MD *md SH_UNUSED, const unsigned char **id, size_t *id_n,
                    SSL_SESSION **session)
{
    uint8_t key[SH_SECRET_SIZE];
    memset(key, 0x42, sizeof(key));
    *id = (const unsigned char *)"alice";
    *id_n = 5;
    *session = SSL_SESSION_new();
    SSL_SESSION_set1_master_key(*session, key, sizeof(key));
    SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(ssl, (const unsigned char *)"\x13\x01"));
    SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION);
    return 1;
}

static void peer_init(struct peer *peer, bool psk, const char *alpn)
{
    memset(peer, 0, sizeof(*peer));
    pair_init(&peer->pair);
    if (psk)
        psk_server(&peer->pair);
    else
        certs_side(&peer->pair, SERVER, anchor->key, anchor->server_cert, anchor->ca_cert, NOW);
    peer->ctx = SSL_CTX_new(TLS_client_method());
    if (psk)
        SSL_CTX_set_psk_use_session_callback(peer->ctx, peer_psk);
    if (alpn)
        SSL_CTX_set_alpn_protos(peer->ctx, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    peer->ssl = SSL_new(peer->ctx);
    peer->in = BIO_new(BIO_s_mem());
    peer->out = BIO_new(BIO_s_mem());
    SSL_set_bio(peer->ssl, peer->in, peer->out);
    SSL_set_connect_state(peer->ssl);
}

static void peer_clear(struct peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->ctx);
    pair_clear(&peer->pair);
    ERR_clear_error();
}
#define autopeer SH_CLEANUP(peer_clear) struct peer

/* Carries everything over, until both have nothing more to say. */
static void exchange(struct peer *peer)
{
    struct side *server = &peer->pair.side[SERVER];
    for (int idle = 0; idle < 2;) {
        uint8_t bytes[40000];
        int n = BIO_read(peer->out, bytes, sizeof(bytes));
        idle = n > 0 || server->out_n > 0 ? 0 : idle + 1;
        ERR_clear_error();
        if (n > 0) {
            enum sh_cause cause = sh_channel_rx(server->channel, SH_BYTES(bytes, (size_t)n));
            if (server->cause == SH_OK)
                server->cause = cause;
        }
        BIO_write(peer->in, server->out, (int)server->out_n);
        server->out_n = 0;
        if (!SSL_is_init_finished(peer->ssl))
            SSL_do_handshake(peer->ssl);
        else
            SSL_peek(peer->ssl, bytes, 1);
    }
}

static void say(struct peer *peer, const void *bytes, size_t n)
{
    assert_int_equal(SSL_write(peer->ssl, bytes, (int)n), n);
    exchange(peer);
}

static void assert_says(const char *bytes, size_t n, enum sh_cause want)
{
    autopeer peer;
    peer_init(&peer, true, "\x08simhop/1");
    exchange(&peer);
    struct side *server = &peer.pair.side[SERVER];
    assert_int_equal(server->ups, 1);
    say(&peer, bytes, n);
    assert_cause(server->cause, want);
    assert_int_equal(server->messages, 0);
}

static void test_bad_frames(void **state SH_UNUSED)
{
    assert_says("\x15\x00\x11\x01", 4, SH_PROTO_FRAME_TOO_LONG); /* a ping of 4353 octets */
    assert_says("\x23\x01\x00\x2d", 4, SH_PROTO_FRAME_TOO_LONG); /* a leaf of 65581 */
    assert_says("\x23\xff\xff\xff", 4, SH_PROTO_FRAME_TOO_LONG);
    assert_says("\x00\x00\x00\x00", 4, SH_PROTO_UNKNOWN_TYPE);
    assert_says("\xc8\x00\x00\x00", 4, SH_PROTO_UNKNOWN_TYPE);
}

static void test_close_inside_message(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, true, "\x08simhop/1");
    exchange(&peer);
    say(&peer, "\x15\x00\x00\x02\x08", 5); /* four of header, one of two */
    SSL_shutdown(peer.ssl);
    exchange(&peer);
    assert_ok(peer.pair.side[SERVER].cause);
    assert_cause(sh_channel_end(peer.pair.side[SERVER].channel), SH_PROTO_TRUNCATED);
}

static void test_alpn_required(void **state SH_UNUSED)
{
    static const char *const offers[] = {NULL, "\x08simhop/2", "\x02h2", "\x07simhop/"};
    for (size_t i = 0; i < SH_COUNT(offers); i++) {
        autopeer peer;
        peer_init(&peer, true, offers[i]);
        exchange(&peer);
        assert_int_equal(peer.pair.side[SERVER].ups, 0);
        assert_cause(peer.pair.side[SERVER].cause, SH_TLS_FAILED);
    }
    autopeer peer; /* among others it is found */
    peer_init(&peer, true, "\x02h2\x08simhop/1");
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 1);
}

static void test_old_tls(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, false, "\x08simhop/1");
    SSL_set_max_proto_version(peer.ssl, TLS1_2_VERSION);
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 0);
    assert_cause(peer.pair.side[SERVER].cause, SH_TLS_FAILED);
}

/* The only suite that does not go with a PSK of SHA-256. */
static void test_other_suite(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, false, "\x08simhop/1");
    SSL_set_ciphersuites(peer.ssl, "TLS_AES_256_GCM_SHA384");
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 0);
    assert_cause(peer.pair.side[SERVER].cause, SH_TLS_FAILED);
}

static void test_chacha(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, true, "\x08simhop/1");
    SSL_set_ciphersuites(peer.ssl, "TLS_CHACHA20_POLY1305_SHA256");
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 1);
}

/* psk_ke, without a key agreement, would give up forward secrecy. */
static void test_psk_without_dhe(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, true, "\x08simhop/1");
    SSL_set_options(peer.ssl, SSL_OP_ALLOW_NO_DHE_KEX);
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 1);
    assert_string_not_equal(sh_channel_group(peer.pair.side[SERVER].channel), "");
    assert_true(SSL_get_negotiated_group(peer.ssl) != NID_undef);
}

static void test_no_client_certificate(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, false, "\x08simhop/1");
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 0);
    assert_cause(peer.pair.side[SERVER].cause, SH_TLS_BAD_CERTIFICATE);
}

static void test_group_retry(void **state SH_UNUSED)
{
    autopeer peer; /* its first key share is for a group that the server does not take */
    peer_init(&peer, true, "\x08simhop/1");
    char retry[] = "P-384:P-256", other[] = "P-384";
    SSL_set1_groups_list(peer.ssl, retry);
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 1);
    autopeer alien;
    peer_init(&alien, true, "\x08simhop/1");
    SSL_set1_groups_list(alien.ssl, other);
    exchange(&alien);
    assert_int_equal(alien.pair.side[SERVER].ups, 0);
    assert_cause(alien.pair.side[SERVER].cause, SH_TLS_FAILED);
}

static void test_key_update(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, true, "\x08simhop/1");
    exchange(&peer);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        say(&peer, "\x15\x00\x00\x02\x08\x05", 6);
        assert_int_equal(peer.pair.side[SERVER].messages, i);
    }
    assert_int_equal(peer.pair.side[SERVER].last_sequence, 5);
    assert_ok(peer.pair.side[SERVER].cause);
}

/* Nothing that would let a recorded session begin again. */
static void test_no_tickets(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, true, "\x08simhop/1");
    exchange(&peer);
    say(&peer, "\x15\x00\x00\x02\x08\x05", 6);
    assert_int_equal(SSL_SESSION_has_ticket(SSL_get_session(peer.ssl)), 0);
    assert_int_equal(SSL_SESSION_get_max_early_data(SSL_get_session(peer.ssl)), 0);
}

/* A PSK client that shows that it may post certificates later is still no certificate client. */
static void test_wants_no_certificate_after_psk(void **state SH_UNUSED)
{
    autopeer peer;
    peer_init(&peer, true, "\x08simhop/1");
    SSL_set_post_handshake_auth(peer.ssl, 1);
    SSL_use_certificate(peer.ssl, token.cert);
    SSL_use_PrivateKey(peer.ssl, secondary->key);
    exchange(&peer);
    assert_int_equal(peer.pair.side[SERVER].ups, 1);
    assert_null(sh_channel_peer_cert(peer.pair.side[SERVER].channel));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_close_inside_message),
        cmocka_unit_test(test_alpn_required),
        cmocka_unit_test(test_old_tls),
        cmocka_unit_test(test_other_suite),
        cmocka_unit_test(test_chacha),
        cmocka_unit_test(test_psk_without_dhe),
        cmocka_unit_test(test_no_client_certificate),
        cmocka_unit_test(test_group_retry),
        cmocka_unit_test(test_key_update),
        cmocka_unit_test(test_no_tickets),
        cmocka_unit_test(test_wants_no_certificate_after_psk),
    };
    return cmocka_run_group_tests(tests, make_world, free_world);
}
