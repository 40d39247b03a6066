/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How further lanes join a session: dialled, accepted, or called back by the anchor. */
#include "cli/session_internal.h"

/* The secondary is TLS's client and the anchor its server, whoever of them called. */
static enum sh_cause make_lane(struct sh_session *s, struct slot *slot, struct sh_stream *stream)
{
    bool anchor = s->config.role == SH_ANCHOR;
    struct sh_channel_config config = {.role = SH_CHANNEL_SERVER, .now = sh_session_wall(s)};
    if (!anchor) {
        config.role = SH_CHANNEL_CLIENT;
        config.psk = &s->link_psk;
        config.psk_identity = SH_BYTES(s->link_id, LINK_ID_SIZE);
    }
    return sh_lane_new(stream, &config, anchor ? &sh_session_called_lane_ops : &sh_session_lane_ops,
                       s, &slot->lane);
}

void sh_session_dialled(struct sh_session *s, unsigned attempt, int kind, struct sh_stream *stream)
{
    struct slot *slot = NULL;
    if (s->stage == STAGE_TRANSFER && s->have_link_psk && sh_session_may_join(s, attempt, kind))
        slot = sh_session_new_slot(s, kind, false);
    if (!slot) {
        sh_stream_close(stream);
    } else {
        slot->attempt = attempt;
        slot->back = s->config.role == SH_ANCHOR || attempt == 0;
        enum sh_cause cause = make_lane(s, slot, stream);
        if (cause != SH_OK)
            sh_session_drop_slot(slot, cause);
    }
    sh_session_settle(s);
}

void sh_session_check_abandoned(struct sh_session *s, enum sh_cause cause)
{
    bool gone = cause == SH_LINK_REFUSED || cause == SH_TLS_SESSION_UNKNOWN;
    for (size_t i = 0; i < SLOTS_MAX; i++)
        gone = gone && s->slots[i].id == 0;
    if (gone && s->config.role == SH_SECONDARY && s->stage == STAGE_TRANSFER)
        sh_session_end(s, SH_CONNECT_LOST);
}

void sh_session_dial_failed(struct sh_session *s, unsigned attempt, int kind, enum sh_cause cause,
                            const struct sh_path_facts *facts)
{
    if (s->stage == STAGE_TRANSFER && s->config.role == SH_ANCHOR) {
        sh_session_call_failed(s, attempt, cause);
    } else if (s->stage == STAGE_TRANSFER) {
        enum sh_cause verdict = facts ? sh_session_path_note(s, kind, facts, cause) : cause;
        sh_session_attempt_down(s, attempt, verdict);
        sh_session_note_refused(s, kind);
    }
    sh_session_check_abandoned(s, cause);
    sh_session_settle(s);
}

enum sh_cause sh_session_find_psk(const struct sh_session *s, struct sh_bytes identity,
                                  struct sh_secret *ret_psk)
{
    if (!s->have_link_psk || !sh_session_is_moving(s) || identity.n != LINK_ID_SIZE ||
        !sh_equal(identity.p, s->link_id, LINK_ID_SIZE))
        return SH_TLS_SESSION_UNKNOWN;
    *ret_psk = s->link_psk;
    return SH_OK;
}

bool sh_session_adopt(struct sh_session *s, int kind, struct sh_lane *lane)
{
    struct slot *slot = sh_session_new_slot(s, kind, false);
    if (!slot)
        return false;
    slot->lane = lane;
    sh_lane_set_owner(lane, &sh_session_lane_ops, s);
    return true;
}
