/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who comes back: what a returning secondary says of itself in its greeting, what its anchor makes of that before it measures, and
 * whether the certificate then says the same.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session_internal.h"
#include "proto/log.h"

enum sh_cause sh_session_returning_key(const struct sh_session *s, struct sh_secret *ret_key)
{
    const struct sh_device *anchor = &s->reconnect_to;
    return sh_returning_key(anchor->resolving_key, s->config.identity->id, anchor->serial, ret_key);
}

/* Whatever is wrong with the registry ends the session where it is needed: here it only makes the rule stricter. */
bool sh_session_returning(struct sh_session *s, const uint8_t id[SH_RETURNING_ID_SIZE],
                          const uint8_t nonce[SH_HELLO_NONCE], struct sh_level *ret_level)
{
    sh_autofree struct sh_device *devices = NULL;
    struct sh_known_level known;
    size_t count = 0;
    if (sh_registry_list_devices(s->config.registry, sh_session_wall(s), &devices, &count) != SH_OK)
        return false;
    const struct sh_device *device =
        sh_returning_resolve(devices, count, s->config.identity->resolving_key, nonce, id);
    sh_log("session: %s returns", device ? "a linked device" : "somebody that is not known");
    if (!device)
        return false;
    s->claimed = true;
    memcpy(s->claimed_id, device->id, sizeof(s->claimed_id));
    if (!s->config.adapter[0] ||
        sh_registry_get_level(s->config.registry, device->id, s->config.adapter, &known) != SH_OK)
        return false;
    struct sh_level level = sh_level_best(known.dbm, (double)NAN);
    if (level.kind != SH_LEVEL_CALIBRATED)
        return false;
    s->config.level = *ret_level = level;
    return true;
}

/* The certificate is of our CA; is its device one that we still know and want, and the one that it said it is? */
enum sh_cause sh_session_check_returning(struct sh_session *s, struct sh_lane *lane)
{
    uint8_t id[SH_DEVICE_ID_SIZE], serial[SH_SERIAL_SIZE];
    X509 *cert = sh_channel_peer_cert(sh_lane_channel(lane));
    if (!cert)
        return SH_TLS_BAD_CERTIFICATE;
    SH_TRY(sh_cert_device_id(cert, id));
    SH_TRY(sh_cert_serial(cert, serial));
    SH_TRY(sh_registry_get_device(s->config.registry, id, SH_DEVICE_IS_SECONDARY, &s->peer));
    if (s->peer.state == SH_DEVICE_REVOKED)
        return SH_LINKED_REVOKED;
    if (s->peer.state != SH_DEVICE_AUTHORISED ||
        memcmp(serial, s->peer.serial, sizeof(serial)) != 0)
        return SH_LINKED_EXPIRED;
    if (s->claimed && memcmp(id, s->claimed_id, sizeof(id)) != 0)
        return sh_fail(SH_TLS_BAD_CERTIFICATE, "it greeted as another linked device");
    if (!sh_strcopy(s->result.peer_name, sizeof(s->result.peer_name), s->peer.name))
        s->result.peer_name[0] = '\0';
    sh_registry_seen(s->config.registry, id, SH_DEVICE_IS_SECONDARY, sh_session_wall(s));
    return SH_OK;
}
