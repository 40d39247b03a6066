/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session that calibrates. The secondary has moved one metre away from the anchor and says what it found; the anchor, which cannot hear a
 * device that does not advertise, finds its own level from that by reciprocity: in one and the same fading both have just measured this
 * connection, so what is between their means is between their radios. Nothing else can be had in such a session.
 */
#include <string.h>

#include "cli/session_internal.h"
#include "proto/log.h"

bool sh_session_calibrates(const struct sh_session *s)
{
    return s->result.purpose == SH_PURPOSE_CALIBRATE;
}

bool sh_session_is_calibration(unsigned type)
{
    return type == SH_MSG_ABORT || type == SH_MSG_SAMPLES || type == SH_MSG_CALIBRATE ||
           type == SH_MSG_CALIBRATED;
}

enum sh_cause sh_session_begin_calibration(struct sh_session *s, struct sh_lane *lane)
{
    Simhop__Calibration message;
    sh_session_go(s, STAGE_CALIBRATE, sh_session_now(s) + CALIBRATE_MS);
    if (s->config.role == SH_ANCHOR)
        return SH_OK;
    sh_calibrated_fill(&s->config.calibrated, &message);
    return sh_lane_send(lane, SH_MSG_CALIBRATE, &message.base);
}

static enum sh_cause keep(struct sh_session *s, const struct sh_calibrated *ours)
{
    struct sh_known_level level = {.dbm = ours->dbm,
                                   .spread_db = ours->spread_db,
                                   .samples = ours->samples,
                                   .positions = ours->positions,
                                   .time = sh_session_wall(s)};
    if (!s->config.adapter[0] ||
        !sh_strcopy(level.adapter, sizeof(level.adapter), s->config.adapter))
        return sh_fail(SH_ENV_RADIO_FAILED, "the adapter has no address");
    memcpy(level.id, s->peer.id, sizeof(level.id));
    return sh_registry_put_level(s->config.registry, &level);
}

static enum sh_cause learn(struct sh_session *s, struct slot *slot, struct sh_bytes payload)
{
    struct sh_calibrated theirs, ours;
    Simhop__Calibration answer;
    SH_TRY(sh_calibrated_unpack(SH_MSG_CALIBRATE, payload, &theirs));
    SH_TRY(sh_calibrated_mirror(&theirs, s->nearness.offset_db, s->usual_dbm, &ours));
    SH_TRY(keep(s, &ours));
    sh_calibrated_fill(&ours, &answer);
    SH_TRY(sh_lane_send(slot->lane, SH_MSG_CALIBRATED, &answer.base));
    if (s->ops->calibrated)
        s->ops->calibrated(s->peer.name, &ours, s->user);
    sh_session_go(s, STAGE_LINGER, sh_session_now(s) + LINGER_MS);
    return SH_OK;
}

enum sh_cause sh_session_on_calibrate(struct sh_session *s, struct slot *slot,
                                      struct sh_bytes payload)
{
    enum sh_cause cause = learn(s, slot, payload);
    if (cause != SH_OK) /* inside the channel, so that the other device learns the reason */
        sh_session_end(s, cause);
    return SH_OK;
}

enum sh_cause sh_session_on_calibrated(struct sh_session *s, struct slot *slot SH_UNUSED,
                                       struct sh_bytes payload)
{
    struct sh_calibrated theirs;
    SH_TRY(sh_calibrated_unpack(SH_MSG_CALIBRATED, payload, &theirs));
    if (s->ops->calibrated)
        s->ops->calibrated(s->reconnect_to.name, &theirs, s->user);
    sh_session_end(s, SH_OK);
    return SH_OK;
}
