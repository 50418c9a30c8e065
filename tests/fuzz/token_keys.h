/*
 * token_keys.h - the keys that the fuzzer of tokens signs with. They were made for that, and open
 * nothing.
 */
#pragma once

#define RSA_KEY                                                                                    \
	"-----BEGIN PRIVATE KEY-----\n"                                                            \
	"MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDD8bYiL8Ipfnoo\n"                       \
	"vkinpa5XlbR52v2Hi/sgH01QqULgvRxB2vgX+jLb0Po00ZHdlHF/R+0JHFluxItP\n"                       \
	"La/Sah7KpF1njQcaWGJzSEBG2awH/J1bUhf+VJoAbAHA9jBgwu5zrC69QnVeHjLn\n"                       \
	"eFFkVHWiSLz2wQArjtaBf8w4C7uJ5q6bFRBeHWHp4trp+cPrYpGQlPCtq9fJo3Pw\n"                       \
	"gaoUrC3Khx8iQp4MxIrc2Q5HNnd5QRRix6yx1U3NecvVg5XeNmeWU9Jd8/by+jxt\n"                       \
	"2ygU2u6W6sH0VKIEQww6FspKW/SNLDcr4SKrscPJhr1cIvwVXDyPiag5XZDw91JX\n"                       \
	"7QTMZXZzAgMBAAECggEAB4AfJVvdUNKjQSACOU328yoAiJGWFt7diV3pYGcPmk64\n"                       \
	"NYUjmLdebwT8LugUGf6ZVvKdOOC5mQCJB0o2asAz1t9H0V5CoVg0xzjtd54pdFIl\n"                       \
	"K95j8Luy/Bp7pAlIfMu5blAZp0D+ASZNczLV2sNTkBdnXwKwS6U3bNREME5dVWqf\n"                       \
	"9gjjfXt7PzrCeAiw3E7WmhTaeFSt3SmDJrKehkPyFEFEHAeTuxjIuRtbDcJYvCDX\n"                       \
	"ay7KL1xWQSRZ7Cf1obNzqbMbc6v2YiWXgL08vcAvKbXsOTtJH1xfeZ7a+qY0Nvf7\n"                       \
	"M7l3qCS846OZZMa45zNVoacbbS5ItGuB9Hjna5rLcQKBgQDvv4Zeg6ChBUrpxdZK\n"                       \
	"jqFdshUlgAfNZAU4eyYrijBPMxTu3zKodrPizRw5vG2LLlIQ+5xktCl7cDXFiAlz\n"                       \
	"ny8yD8CsyUQZ6/0z60C1fkM7LLsAMeT/zgYKDq2vZE/qLzM1pSbGwVnhKK2Ev3Ri\n"                       \
	"Fp66Byh7v/jvYUm/eM/9dyz6tQKBgQDROgiWIIcn4xieeIO25XWYdf3MawX8Mdee\n"                       \
	"SSkprywrlP7oOJ4ZpEyKwFZtbgA/7BLpaao5JRNnZ64/iGdhAVmF9OkFL8n7SjSV\n"                       \
	"BzAZtQtCj/gL3QSnLiBIPfMCqYPSmSO2PwXvt9L71ExKvOq0ml7ctXoH6YmVYUJj\n"                       \
	"DEQoRqPdhwKBgQDXLQqoYXMVke5+inWeTQ0/Tsnz8kkOaqrU2pKTmV9qdepfyitp\n"                       \
	"T8B72qNunlOjC1vUqj7fk2N3ymo4c7Qn9cMiJ0lCyxE4Qrnqk0Zsnnow7iCYOC/T\n"                       \
	"91EsTahNNrcS9HH9v9Bhqr/EegHilwMZ1jt3s1z+VHpUPvk1xHTIhOH10QKBgQCm\n"                       \
	"0u4Lvg3mGOYFXTQwfc8A7HucJW2VQ6yXkeAXU4wVh+yj/pjY+y7opymCgWYDkdkW\n"                       \
	"cWD/xXcuSPYfxEQhjbDy5W9y6kLTcbxxY1TP+pHq1d5Cn0zZfCbTU0nTQpRQNDjM\n"                       \
	"VH4IQHsivojCQtWlgTzIII8XhfdkuzLyxNIHhyObOwKBgAb6aEoLyGLbmpr4tWKu\n"                       \
	"eIPLaBCjI8Sv9mht8lwoyr4eNJ0CKoQZ+n9y1zmtZd56wXQosAhm5enmUh3ShJig\n"                       \
	"MnU9yIhoL9Ze9c+NFrCQL5dPPzQdVSGPwh39BCct+kv14ZcvLG1q9SqDERQxF4yC\n"                       \
	"lD3InozIS+Scbzig3dfCQhmO\n"                                                               \
	"-----END PRIVATE KEY-----\n"

#define EC_KEY                                                                                     \
	"-----BEGIN PRIVATE KEY-----\n"                                                            \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTQUFPnMoycgNDF0F\n"                       \
	"9iFZi/Z5IZ0AMJO6xF+lCO5O7OShRANCAATagYyR3JmMjdkAzPJSE4uHZ3jRfp27\n"                       \
	"QDhLKg10Vj9AM7cM+3Sr02jAhnKwOThsWV1kAAiiFdB2HowgDeo2p0B6\n"                               \
	"-----END PRIVATE KEY-----\n"

#define ED25519_KEY                                                                                \
	"-----BEGIN PRIVATE KEY-----\n"                                                            \
	"MC4CAQAwBQYDK2VwBCIEIEtXeG2w9abcb04sWGpsfXd+p6a4LENFlUci86MItuYm\n"                       \
	"-----END PRIVATE KEY-----\n"
