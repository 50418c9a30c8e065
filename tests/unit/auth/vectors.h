/*
 * vectors.h - the keys and tokens that the standards print.
 *
 * Source: RFC 7515 appendix A (tokens of the claims {"iss":"joe", "exp":1300819380, …}),
 *         RFC 8037 appendix A (Ed25519).
 */
#pragma once

#define CLAIMS_OF_JOE                                                                              \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"                         \
	"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define JOE_EXPIRES_MS 1300819380000u
#define PAYLOAD_OF_JOE                                                                             \
	"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"

/* A.1: HS256 */
#define SECRET_A1                                                                                  \
	"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i"                         \
	"PS4hcgUuTwjAzZr1Z9CAow"
#define TOKEN_A1                                                                                   \
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS_OF_JOE                                  \
	".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

/* A.2: RS256 */
#define RSA_A2                                                                                     \
	"\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx"       \
	"HmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47s"   \
	"oMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmt"   \
	"dVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91"   \
	"kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\""
#define TOKEN_A2                                                                                   \
	"eyJhbGciOiJSUzI1NiJ9." CLAIMS_OF_JOE                                                      \
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"                        \
	"AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"                         \
	"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"                         \
	"0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"                         \
	"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"                         \
	"p0igcN_IoypGlUPQGe77Rw"

/* A.3: ES256 */
#define EC_A3                                                                                      \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","  \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define TOKEN_A3                                                                                   \
	"eyJhbGciOiJFUzI1NiJ9." CLAIMS_OF_JOE                                                      \
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"                        \
	"pmWQxfKTUJqPP3-Kg6NU1Q"

/* A.4: ES512, which is not one of ours */
#define EC_A4                                                                                      \
	"\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBp" \
	"Xp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBX"  \
	"MoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\""
#define TOKEN_A4                                                                                   \
	"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bK"   \
	"PWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO"   \
	"7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"

/* A.5, and RFC 7519 section 6.1: without a signature */
#define TOKEN_A5 "eyJhbGciOiJub25lIn0." CLAIMS_OF_JOE "."

/* RFC 8037 A.2 and A.4: EdDSA of a text that is no claims */
#define OKP_8037                                                                                   \
	"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"                               \
	"7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define PAYLOAD_8037 "Example of Ed25519 signing"
#define TOKEN_8037                                                                                 \
	"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"    \
	"09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

#define JWKS(keys) "{\"keys\":[" keys "]}"
