import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { z } from 'zod';

/** File names of signatures inside a package. The first is what Zarf wrote until 0.80, the second a sigstore bundle. */
export const signatureFile = 'zarf.yaml.sig';
export const bundleFile = 'zarf.bundle.sig';

export type ZarfSignature = 'verified' | 'unsigned' | 'unchecked';

const readKey = (pem: string, element: string): Result<KeyObject> => {
  if (/PRIVATE KEY/.test(pem))
    return fail('fatal', 'zarf-key-invalid', element, 'this is a private key; give the public one (cosign.pub), and keep the private one away from here');
  try {
    return ok(createPublicKey(pem));
  } catch (problem) {
    return fail('fatal', 'zarf-key-invalid', element, `the public key is no PEM key: ${problem instanceof Error ? problem.message : String(problem)}`);
  }
};

/** How cosign signs bytes: ECDSA over the curve's usual hash (older versions: always SHA-256), RSA with SHA-256 (PKCS #1), Ed25519 as it is. */
const hashesOf = (key: KeyObject): (string | null)[] | undefined => {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return [null];
    case 'ec':
      return ['sha256', 'sha384', 'sha512'];
    case 'rsa':
      return ['sha256'];
    case undefined:
    default:
      return undefined;
  }
};

const isSignedBy = (key: KeyObject, data: Buffer, signature: Buffer): boolean =>
  (hashesOf(key) ?? []).some((hash) => {
    try {
      return verify(hash, data, key, signature);
    } catch {
      return false;
    }
  });

const base64 = z
  .string()
  .max(16_384)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/);
/** A sigstore bundle of a blob signed with a plain key (sigstore/protobuf-specs). Other fields (log entries) are not needed for that. */
const bundleSchema = z.object({
  mediaType: z.string().max(256).optional(),
  verificationMaterial: z
    .looseObject({ publicKey: z.unknown().optional(), certificate: z.unknown().optional(), x509CertificateChain: z.unknown().optional() })
    .optional(),
  messageSignature: z.object({ signature: base64 }).optional(),
  dsseEnvelope: z.unknown().optional(),
});

const signatureOfBundle = (text: string, element: string): Result<Buffer> => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('fatal', 'zarf-signature-malformed', element, `${bundleFile} is no JSON`);
  }
  const parsed = bundleSchema.safeParse(value);
  if (!parsed.success)
    return fail(
      'fatal',
      'zarf-signature-malformed',
      element,
      `${bundleFile} is no sigstore bundle (${parsed.error.issues[0]?.path.map(String).join('.') ?? ''})`,
    );
  const { verificationMaterial: material, messageSignature, dsseEnvelope } = parsed.data;
  if (material?.certificate !== undefined || material?.x509CertificateChain !== undefined)
    return fail(
      'fatal',
      'zarf-signature-keyless',
      element,
      'it is signed without a key (by a certificate of sigstore), and checking that needs a network. Have it signed with a key: zarf package sign --signing-key',
    );
  if (messageSignature === undefined)
    return fail(
      'fatal',
      'zarf-signature-malformed',
      element,
      `${bundleFile} holds ${dsseEnvelope === undefined ? 'no signature of the file' : 'an attestation, not a signature of the file'}`,
    );
  return ok(Buffer.from(messageSignature.signature, 'base64'));
};

export interface Signed {
  definition: Buffer;
  /** Content of `zarf.yaml.sig` and `zarf.bundle.sig`, where they are there. */
  signature?: Buffer;
  bundle?: Buffer;
}

/**
 * The signature of zarf.yaml, which by its checksum covers every file. Each signature that is there must fit the key. No key and a signature is `unchecked`;
 * a key and no signature is a failure, or whoever strips the signature would win.
 */
export const checkSignature = (signed: Signed, publicKey: string | undefined, element: string): Result<ZarfSignature> => {
  const isSigned = signed.signature !== undefined || signed.bundle !== undefined;
  if (publicKey === undefined) return ok(isSigned ? 'unchecked' : 'unsigned');
  const key = readKey(publicKey, element);
  if (!key.ok) return key;
  if (hashesOf(key.value) === undefined)
    return fail('fatal', 'zarf-key-invalid', element, `keys of type ${key.value.asymmetricKeyType ?? 'unknown'} are not supported; ECDSA, Ed25519 and RSA are`);
  if (!isSigned)
    return fail('fatal', 'zarf-unsigned', element, 'a public key is given, but the package is not signed. Use a signed package, or leave the key out');
  const signatures: Buffer[] = [];
  if (signed.bundle !== undefined) {
    const fromBundle = signatureOfBundle(signed.bundle.toString('utf8'), element);
    if (!fromBundle.ok) return fromBundle;
    signatures.push(fromBundle.value);
  }
  if (signed.signature !== undefined) {
    const text = signed.signature.toString('utf8').trim();
    if (!base64.safeParse(text).success) return fail('fatal', 'zarf-signature-malformed', element, `${signatureFile} is no base64 text`);
    signatures.push(Buffer.from(text, 'base64'));
  }
  if (!signatures.every((signature) => isSignedBy(key.value, signed.definition, signature)))
    return fail(
      'fatal',
      'zarf-signature-wrong',
      element,
      'the signature does not fit this key: the package was changed, or somebody else signed it. Do not use it',
    );
  return ok('verified');
};
