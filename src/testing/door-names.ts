/** The names of each door, as its test holds them: a name that comes or goes is a decision. */
export const DOORS = {
  tautnet: {
    file: 'index',
    values: `
      DataError DeviceError DivergenceError Failure FileError FormatError UsageError adam
      architecture assembleBatch bounds ccIbp certified certify chain clipup convolutionLayer
      createEstimator createObjective createPlan createPool decodeParameters deriveKey
      encodeParameters epochBatches estimate evaluateBatch expIbp exportOnnx flatten
      importOnnx initialState initialize intersection keyOf linearLayer loadDataset mixture
      mtlIbp network none openRun parameterLayout pgdTraining pgpe pooledObjective readNetwork
      readProperty createSearch hypervolume paretoFront relaxationNamed relaxations reluLayer
      resume rgs robustness sabr schedules searchGradient sgd staps taps train training verify
      views
    `,
    types: `
      ActivationLayer AdamOptions AdamState AffineLayer ArchitectureName AscentOptions
      Augmentation Augmented Batch BatchObjective BatchValues BoundProblem BoundResult Bounds
      BoundsOptions Box Assignment CallOptions CertificateLine CertificationProgress
      CertificationReport CertifiedOptions CertifyOptions Choice ClipUpOptions ClipUpState
      CompleteOptions Condition ConvolutionGeometry CoordinateRange Counterexample DataOptions
      Dataset DatasetDescription Device DeviceTrouble Direction DownloadProgress EpochOptions
      Estimate EstimateContext EstimateOptions Estimator EstimatorName EstimatorOptions
      ExpressiveOptions Extents FinishedTrial GivenSettings Halving ImageShape ImportedNetwork
      Inequality InitializationScheme InputBox JoinLayer Key Layer Lifting LossAndGradient
      MetricsRecord Model Network NetworkNode NoneOptions Normalization Objective
      ObjectiveOptions ObjectiveScalars Objectives OnnxExportOptions OnnxImportOptions OpenedRun OutputBounds
      Parameter ParameterArrays ParameterSlice ParameterSlot ParameterValue Perturbations
      Pairs SigmaStep CpuObjective EvaluatedBatch HostEstimate PgpeOptions PixelAttack Plan
      Polytope Pool PooledBatch PooledOptions Property Relaxation ReluLayer ResumeOptions
      RgsOptions RobustGraph RobustLoss RobustProblem RobustnessOptions SabrOptions Schedule
      SearchDistribution SearchGradient Settings SgdOptions SgdState Shaping Sigma SigmaGroups
      SigmaWeights Specification Split Stage StapsOptions StepReport TapsOptions TrainOptions
      TrainedNetwork TrainingOptions TrainingState TrainingWatch UpdateGraph UpdateRule Vector
      Verdict Verification VerifyOptions VerifyProgress WeightedScores Weights
      GradientPerturbations ParameterRange PointEvaluation RgsState SearchGradientOptions
      Range Search SearchOptions Space Told Trial
    `,
  },
  'tautnet/verify': {
    file: 'doors/verify',
    values: `
      accuraciesOf attackProgram bounds certificateFiles certify clampInto confirm evaluatorOf
      multiTargetPgd pgd propertyOf readNetwork readProperty robustness verify verifyQuery
      writeCertificate checkCertificate encodeCertificate imageCertificate propertyCertificate
    `,
    types: `
      Accuracies AttackLoss AttackProgram AttackResult BoundsOptions Box Certificate
      BoxTrace CertifiedProofs CheckOptions CheckOutcome Claim HiddenBounding HiddenMethod
      ImageCertificateOptions Leaf Proof
      PropertyCertificateOptions Tree CertificateFiles CertificationProgress
      CertificationReport Certified CertifyOptions CompleteOptions Counterexample Evaluate
      Evaluation Evaluator Executor Falsified Inequality InputBox Model Network OutputBounds
      ParameterArrays PgdOptions Polytope Property QueryVerification Relaxation
      RobustnessOptions StageReport TensorAssignment TrainedNetwork Undecided Verdict
      VerdictStore Verification VerificationStage
      VerifyOptions VerifyProgress VnnlibProperty
    `,
  },
  'tautnet/graph': {
    file: 'doors/graph',
    values: `
      GraphError abs add addAll asTensor batchedMatmul broadcastTo concat constant div
      encodeProgram evaluate exp gatherRows gemm gemmAdd gradient greater input log logSumExp
      maximum minimum mul neg ones pad reduceMax relu reshape scatterRows sigmoid sign slice
      sqrt square step stopGradient sub sum takeRows tanh toFloat toInt total transpose
      vectorJacobian where withGradient zeros
    `,
    types: `
      AttributeValue Attributes DType Emitter EncodedProgram EncodingOptions FloatType
      Footprint GradientRule HostData Lifting Operator RowTable Shape Tensor
    `,
  },
  'tautnet/runtime': {
    file: 'doors/runtime',
    values: `
      DEVICES DEVICE_CHOICES DeviceError accumulateNormals chooseDevice createExecutor
      createPlan createPool deriveKey fillNormals keyOf openModel permutation perturb
      perturbPair programPlan randomIntegers surveyDevices uniforms
    `,
    types: `
      Device DeviceChoice DeviceReport DeviceTrouble Executor HostStage IterateStage Key
      Lifting Model ModelSizes PairsTask Plan PlanResult Pool RowsStage RunResult
      RunTask SessionOptions Stage Step Tensor WholeStage
    `,
  },
  'tautnet/formats': {
    file: 'doors/formats',
    values: `
      FileError FormatError decodeCounterexample decodeIdx decodeOnnx decodeSafetensors
      encodeCounterexample encodeOnnx encodeSafetensors encodeVnnlib parseVnnlib readVnnlib
      writeFileAtomic
    `,
    types: `
      Constraint Counterexample ElementType IdxArray LinearConstraint NetworkDeclaration
      OnnxAttribute OnnxModel OnnxNode OnnxTensor OnnxValue ReadLimits Safetensors
      SafetensorsArray SafetensorsDType TensorDeclaration TensorKind VnnlibProperty
    `,
  },
  'tautnet/web': {
    file: 'doors/web',
    values: `
      FormatError architecture bounds certifySplit exportOnnx importOnnx initialize keyOf
      relaxationNamed relaxations trainInMemory useWasm
    `,
    types: `
      BoundsOptions CertificationOptions CertificationReport DatasetDescription EpochCourse Extents
      ImageShape ImportedNetwork InitializationScheme InputBox Key MemoryTraining Network
      Normalization OnnxExportOptions OnnxImportOptions OutputBounds ParameterArrays Relaxation Split
      TrainedInMemory Verdict
    `,
  },
} as const;
