/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the handshake's own files: handshake.c (table, states, entry points), handshake_hello.c (greeting and
 * nearness), handshake_pake.c (code and key exchange).
 */
#ifndef SIMHOP_PAIRING_HANDSHAKE_INTERNAL_H
#define SIMHOP_PAIRING_HANDSHAKE_INTERNAL_H

#include "crypto/spake2plus.h"
#include "pairing/away.h"
#include "pairing/handshake.h"
#include "proto/frame.h"

#define HELLO_MAX     512
#define PROXIMITY_MAX 128
#define NONCE_SIZE    SH_HELLO_NONCE

enum state {
    STATE_AWAIT_HELLO,      /* anchor: the peer's greeting */
    STATE_AWAIT_ANSWER,     /* secondary: the anchor's greeting */
    STATE_MEASURE,          /* both: our own samples */
    STATE_PEER_MEASURE,     /* both: the peer's statement */
    STATE_AWAIT_CODE_READY, /* secondary */
    STATE_AWAIT_PERSON,     /* secondary: the code is being typed */
    STATE_AWAIT_SHARE_V,    /* secondary */
    STATE_AWAIT_DONE,       /* secondary */
    STATE_AWAIT_SHARE_P,    /* anchor: the code is being typed over there */
    STATE_AWAIT_CONFIRM,    /* anchor */
    STATE_TLS,
    STATE_OVER,
    STATE_COUNT
};

/* A message as it was, for the transcript. */
struct said {
    uint8_t bytes[HELLO_MAX];
    size_t n;
};

struct sh_handshake {
    const struct sh_handshake_ops *ops;
    void *user;
    enum sh_role role;
    bool reconnect, near_is_optional, near_is_strict, learns, shares_nothing;
    enum sh_purpose purpose;
    bool says_returning;
    struct sh_secret returning_key;
    uint8_t device_id[SH_DEVICE_ID_SIZE];
    char name[SH_NAME_MAX + 1];
    char want_peer_name[SH_NAME_MAX + 1];
    int links[SH_LINKS_MAX];
    size_t link_count;
    uint8_t advertised_id[SH_ROTATING_ID_SIZE];
    uint8_t nonce[NONCE_SIZE]; /* the peer's is in the result */

    struct sh_frame_reader *reader;
    enum state state;
    sh_ms now, deadline;
    bool greeted, heard_us;

    struct sh_proximity *proximity; /* measure */
    struct sh_proximity *watch;     /* confirm: has it been carried away? */
    bool sampling, have_peer_proximity;
    sh_ms measure_started, proximity_said;
    struct sh_away away;

    struct said our_hello, peer_hello, our_proximity, peer_proximity;
    bool have_transcript;

    unsigned run;        /* of the PAKE, from 1 */
    struct sh_code code; /* anchor: on show */
    struct sh_spake *spake;
    uint8_t old_shares[SH_CODE_RUNS][SH_SPAKE_SHARE];
    unsigned old_share_count;

    struct sh_handshake_result result;
};

/* handshake.c */
void sh_hs_go(struct sh_handshake *hs, enum state state, const char *why);
SH_MUST_USE enum sh_cause sh_hs_send(struct sh_handshake *hs, unsigned type,
                                     const ProtobufCMessage *message);
void sh_hs_enter_tls(struct sh_handshake *hs);
/* Measures by this level from the beginning. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_hs_set_level(struct sh_handshake *hs, struct sh_level level);
const struct said *sh_hs_said_by(const struct sh_handshake *hs, enum sh_role role, bool hello);

/* handshake_hello.c: handlers, and what begins without a message */
/* A calibration demands nothing of the measurement. */
void sh_hs_set_purpose(struct sh_handshake *hs, enum sh_purpose purpose);
enum sh_cause sh_hs_send_hello(struct sh_handshake *hs);
enum sh_cause sh_hs_on_hello(struct sh_handshake *hs, struct sh_bytes payload);
enum sh_cause sh_hs_on_proximity(struct sh_handshake *hs, struct sh_bytes payload);
enum sh_cause sh_hs_measure_tick(struct sh_handshake *hs);
/* While a person reads and types: near.too-far when the other device is clearly elsewhere by now. */
void sh_hs_begin_watch(struct sh_handshake *hs);
enum sh_cause sh_hs_watch_tick(struct sh_handshake *hs);

/* handshake_pake.c */
enum sh_cause sh_hs_begin_confirm(struct sh_handshake *hs);
enum sh_cause sh_hs_typed(struct sh_handshake *hs, const struct sh_code *code);
enum sh_cause sh_hs_on_code_ready(struct sh_handshake *hs, struct sh_bytes payload);
enum sh_cause sh_hs_on_share_p(struct sh_handshake *hs, struct sh_bytes payload);
enum sh_cause sh_hs_on_share_v(struct sh_handshake *hs, struct sh_bytes payload);
enum sh_cause sh_hs_on_confirm_p(struct sh_handshake *hs, struct sh_bytes payload);
enum sh_cause sh_hs_on_failed(struct sh_handshake *hs, struct sh_bytes payload);
enum sh_cause sh_hs_on_done(struct sh_handshake *hs, struct sh_bytes payload);

#endif
