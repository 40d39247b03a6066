/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/returning.h"

#include <string.h>

#define KEY_LABEL "simhop1 secondary"
#define ID_LABEL  "simhop1 returning"

enum sh_cause sh_returning_key(const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                               const uint8_t device_id[SH_DEVICE_ID_SIZE],
                               const uint8_t serial[SH_SERIAL_SIZE], struct sh_secret *ret_key)
{
    sh_autowipe struct sh_secret prk = {.b = {0}};
    uint8_t salt[SH_DEVICE_ID_SIZE + SH_SERIAL_SIZE];
    memcpy(salt, device_id, SH_DEVICE_ID_SIZE);
    memcpy(salt + SH_DEVICE_ID_SIZE, serial, SH_SERIAL_SIZE);
    SH_TRY(sh_hmac_sha256(SH_BYTES(salt, sizeof(salt)),
                          SH_BYTES(resolving_key, SH_RESOLVING_KEY_SIZE), prk.b));
    return sh_hkdf_expand(&prk, KEY_LABEL, ret_key->b, sizeof(ret_key->b));
}

enum sh_cause sh_returning_id(const struct sh_secret *key, const uint8_t nonce[SH_HELLO_NONCE],
                              uint8_t out[SH_RETURNING_ID_SIZE])
{
    uint8_t message[sizeof(ID_LABEL) - 1 + SH_HELLO_NONCE], tag[32];
    memcpy(message, ID_LABEL, sizeof(ID_LABEL) - 1);
    memcpy(message + sizeof(ID_LABEL) - 1, nonce, SH_HELLO_NONCE);
    SH_TRY(
        sh_hmac_sha256(SH_BYTES(key->b, sizeof(key->b)), SH_BYTES(message, sizeof(message)), tag));
    memcpy(out, tag, SH_RETURNING_ID_SIZE);
    return SH_OK;
}

static bool is_of(const struct sh_device *device, const uint8_t *resolving_key,
                  const uint8_t *nonce, const uint8_t *id)
{
    sh_autowipe struct sh_secret key = {.b = {0}};
    uint8_t made[SH_RETURNING_ID_SIZE];
    return sh_returning_key(resolving_key, device->id, device->serial, &key) == SH_OK &&
           sh_returning_id(&key, nonce, made) == SH_OK && sh_equal(made, id, sizeof(made));
}

const struct sh_device *sh_returning_resolve(const struct sh_device *devices, size_t count,
                                             const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                                             const uint8_t nonce[SH_HELLO_NONCE],
                                             const uint8_t id[SH_RETURNING_ID_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        const struct sh_device *device = &devices[i];
        if (device->relation == SH_DEVICE_IS_SECONDARY && device->state == SH_DEVICE_AUTHORISED &&
            is_of(device, resolving_key, nonce, id))
            return device;
    }
    return NULL;
}
