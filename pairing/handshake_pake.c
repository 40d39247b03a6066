/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The code and the key exchange. A code is good for one run; the run is charged before shareV and confirmV leave,
 * because with them the secondary can test one guess and walk away.
 */
#include <string.h>

#include "pairing/handshake_internal.h"
#include "proto/log.h"

/* The role that typed the code is the prover. Context of the PAKE: transcript | run. */
static enum sh_cause new_spake(struct sh_handshake *hs, const struct sh_code *code)
{
    uint8_t context[36], salt[2 * NONCE_SIZE];
    bool anchor = hs->role == SH_ANCHOR;
    const uint8_t *prover = anchor ? hs->result.peer_id : hs->device_id;
    const uint8_t *verifier = anchor ? hs->device_id : hs->result.peer_id;
    memcpy(context, hs->result.transcript, 32);
    context[32] = (uint8_t)(hs->run >> 24);
    context[33] = (uint8_t)(hs->run >> 16);
    context[34] = (uint8_t)(hs->run >> 8);
    context[35] = (uint8_t)hs->run;
    memcpy(salt, anchor ? hs->result.peer_nonce : hs->nonce, NONCE_SIZE);
    memcpy(salt + NONCE_SIZE, anchor ? hs->nonce : hs->result.peer_nonce, NONCE_SIZE);
    sh_spake_freep(&hs->spake);
    return sh_spake_new(anchor ? SH_SPAKE_VERIFIER : SH_SPAKE_PROVER,
                        SH_BYTES(code->digits, SH_CODE_DIGITS), SH_BYTES(salt, sizeof(salt)),
                        SH_BYTES(context, sizeof(context)), SH_BYTES(prover, SH_DEVICE_ID_SIZE),
                        SH_BYTES(verifier, SH_DEVICE_ID_SIZE), &hs->spake);
}

/* Is the run of a message the one that we are in? An older one was recorded. */
static enum sh_cause check_run(const struct sh_handshake *hs, uint32_t run)
{
    if (run == hs->run)
        return SH_OK;
    if (run < hs->run)
        return sh_fail(SH_CONFIRM_REPLAY, "a message of run %u in run %u", (unsigned)run, hs->run);
    return sh_fail(SH_PROTO_WRONG_STATE, "a message of run %u in run %u", (unsigned)run, hs->run);
}

/* Anchor: a new code for a new run, if the registry lets it. */
static enum sh_cause next_run(struct sh_handshake *hs, const char *why)
{
    Simhop__CodeReady ready = SIMHOP__CODE_READY__INIT;
    uint32_t wait_s = 0;
    SH_TRY(hs->ops->gate(&wait_s, hs->user));
    if (hs->run >= SH_CODE_RUNS)
        return SH_CONFIRM_LOCKED_OUT;
    SH_TRY(sh_code_new(&hs->code));
    hs->run++;
    ready.run = hs->run;
    SH_TRY(sh_hs_send(hs, SH_MSG_CODE_READY, &ready.base));
    sh_hs_go(hs, STATE_AWAIT_SHARE_P, why);
    hs->ops->show_code(&hs->code, hs->user);
    return SH_OK;
}

enum sh_cause sh_hs_begin_confirm(struct sh_handshake *hs)
{
    hs->ops->phase(SH_HANDSHAKE_CONFIRM, hs->result.peer_name, hs->user);
    sh_hs_begin_watch(hs);
    if (hs->role == SH_ANCHOR)
        return next_run(hs, "both near");
    sh_hs_go(hs, STATE_AWAIT_CODE_READY, "both near");
    return SH_OK;
}

enum sh_cause sh_hs_on_code_ready(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_CODE_READY, payload, &message));
    uint32_t run = ((const Simhop__CodeReady *)message)->run;
    if (run <= hs->run)
        return sh_fail(SH_CONFIRM_REPLAY, "code-ready of run %u again", (unsigned)run);
    if (run != hs->run + 1)
        return sh_fail(SH_PROTO_WRONG_STATE, "run %u after %u", (unsigned)run, hs->run);
    hs->run = run;
    sh_hs_go(hs, STATE_AWAIT_PERSON, "a code is on show");
    hs->ops->want_code(run, hs->user);
    return SH_OK;
}

enum sh_cause sh_hs_typed(struct sh_handshake *hs, const struct sh_code *code)
{
    Simhop__PakeShareP message = SIMHOP__PAKE_SHARE_P__INIT;
    uint8_t share[SH_SPAKE_SHARE];
    SH_TRY(new_spake(hs, code));
    sh_spake_share(hs->spake, share);
    message.run = hs->run;
    message.share = (ProtobufCBinaryData){sizeof(share), share};
    message.transcript = (ProtobufCBinaryData){32, hs->result.transcript};
    SH_TRY(sh_hs_send(hs, SH_MSG_PAKE_SHARE_P, &message.base));
    sh_hs_go(hs, STATE_AWAIT_SHARE_V, "code entered");
    return SH_OK;
}

/* Anchor: was this share seen in an earlier run of the session? Remembers it. One of another length is the PAKE's to
 * refuse. */
static enum sh_cause check_fresh(struct sh_handshake *hs, const ProtobufCBinaryData *share)
{
    if (share->len != SH_SPAKE_SHARE)
        return SH_OK;
    for (unsigned i = 0; i < hs->old_share_count; i++) {
        if (memcmp(hs->old_shares[i], share->data, SH_SPAKE_SHARE) == 0)
            return SH_CONFIRM_REPLAY;
    }
    if (hs->old_share_count < SH_CODE_RUNS)
        memcpy(hs->old_shares[hs->old_share_count++], share->data, SH_SPAKE_SHARE);
    return SH_OK;
}

static enum sh_cause send_share_v(struct sh_handshake *hs)
{
    Simhop__PakeShareV message = SIMHOP__PAKE_SHARE_V__INIT;
    uint8_t share[SH_SPAKE_SHARE], confirm[SH_SPAKE_CONFIRM];
    sh_spake_share(hs->spake, share);
    SH_TRY(sh_spake_confirm(hs->spake, confirm));
    message.run = hs->run;
    message.share = (ProtobufCBinaryData){sizeof(share), share};
    message.confirm = (ProtobufCBinaryData){sizeof(confirm), confirm};
    return sh_hs_send(hs, SH_MSG_PAKE_SHARE_V, &message.base);
}

enum sh_cause sh_hs_on_share_p(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_PAKE_SHARE_P, payload, &unpacked));
    const Simhop__PakeShareP *message = (const Simhop__PakeShareP *)unpacked;
    SH_TRY(check_run(hs, message->run));
    if (message->transcript.len != 32 ||
        !sh_equal(message->transcript.data, hs->result.transcript, 32))
        return SH_CONFIRM_WRONG_TRANSCRIPT;
    SH_TRY(check_fresh(hs, &message->share));
    SH_TRY(new_spake(hs, &hs->code));
    /* A code is good for one run, however that ends. */
    sh_wipe(&hs->code, sizeof(hs->code));
    hs->ops->show_code(NULL, hs->user);
    SH_TRY(sh_spake_rx_share(hs->spake, SH_BYTES(message->share.data, message->share.len)));
    SH_TRY(hs->ops->charge(hs->user));
    SH_TRY(send_share_v(hs));
    sh_hs_go(hs, STATE_AWAIT_CONFIRM, "attempt charged");
    return SH_OK;
}

enum sh_cause sh_hs_on_share_v(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_PAKE_SHARE_V, payload, &unpacked));
    const Simhop__PakeShareV *message = (const Simhop__PakeShareV *)unpacked;
    SH_TRY(check_run(hs, message->run));
    SH_TRY(sh_spake_rx_share(hs->spake, SH_BYTES(message->share.data, message->share.len)));
    enum sh_cause cause =
        sh_spake_rx_confirm(hs->spake, SH_BYTES(message->confirm.data, message->confirm.len));
    if (cause == SH_CONFIRM_WRONG_CODE) {
        Simhop__PakeFailed failed = SIMHOP__PAKE_FAILED__INIT;
        failed.run = hs->run;
        SH_TRY(sh_hs_send(hs, SH_MSG_PAKE_FAILED, &failed.base));
        sh_spake_freep(&hs->spake);
        sh_hs_go(hs, STATE_AWAIT_CODE_READY, "wrong code");
        return SH_OK;
    }
    SH_TRY(cause);
    Simhop__PakeConfirmP answer = SIMHOP__PAKE_CONFIRM_P__INIT;
    uint8_t confirm[SH_SPAKE_CONFIRM];
    SH_TRY(sh_spake_confirm(hs->spake, confirm));
    answer.run = hs->run;
    answer.confirm = (ProtobufCBinaryData){sizeof(confirm), confirm};
    SH_TRY(sh_hs_send(hs, SH_MSG_PAKE_CONFIRM_P, &answer.base));
    sh_hs_go(hs, STATE_AWAIT_DONE, "their confirmation is right");
    return SH_OK;
}

static enum sh_cause derive_keys(struct sh_handshake *hs)
{
    sh_autowipe struct sh_secret key = {{0}};
    SH_TRY(sh_spake_key(hs->spake, &key));
    sh_spake_freep(&hs->spake);
    return sh_session_keys_derive(&key, hs->result.transcript, &hs->result.keys);
}

enum sh_cause sh_hs_on_confirm_p(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_PAKE_CONFIRM_P, payload, &unpacked));
    const Simhop__PakeConfirmP *message = (const Simhop__PakeConfirmP *)unpacked;
    SH_TRY(check_run(hs, message->run));
    SH_TRY(sh_spake_rx_confirm(hs->spake, SH_BYTES(message->confirm.data, message->confirm.len)));
    SH_TRY(hs->ops->confirmed(hs->user));
    SH_TRY(derive_keys(hs));
    Simhop__PakeDone done = SIMHOP__PAKE_DONE__INIT;
    done.run = hs->run;
    SH_TRY(sh_hs_send(hs, SH_MSG_PAKE_DONE, &done.base));
    sh_hs_enter_tls(hs);
    return SH_OK;
}

enum sh_cause sh_hs_on_failed(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_PAKE_FAILED, payload, &unpacked));
    SH_TRY(check_run(hs, ((const Simhop__PakeFailed *)unpacked)->run));
    sh_spake_freep(&hs->spake);
    return next_run(hs, "wrong code");
}

enum sh_cause sh_hs_on_done(struct sh_handshake *hs, struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *unpacked = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_PAKE_DONE, payload, &unpacked));
    SH_TRY(check_run(hs, ((const Simhop__PakeDone *)unpacked)->run));
    SH_TRY(derive_keys(hs));
    sh_hs_enter_tls(hs);
    return SH_OK;
}
